"""FER2013 in every form that circulates gives the same faces; votes, duplicates by hand."""

import csv
import io
import json
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.data.fer2013 import FOLDERS, PARTS
from fsr_fer.data.labelled_faces import open_faces_of
from fsr_fer.data.listing import Source
from fsr_fer.data.sources import open_source
from fsr_fer.data.votes import EXPRESSIONS, VOTES, VoteRule, winner
from tests import ROOT
from tests.data.raw_faces import CLASSES, build, edit_line, encoded, face_pixels, run_import, zip_of

FERPLUS = ROOT.parent / "shared/data/ferplus/ferplus.zip"
RULES: tuple[VoteRule, ...] = ("ferplus", "strict", "plurality")


class Row(NamedTuple):
    """A row of both tables: ``name`` of FER+, its votes, FER2013's emotion, and the picture."""

    part: str
    name: str
    votes: str
    emotion: int
    picture: int


ROWS = [  # neutral happiness surprise sadness anger disgust fear contempt unknown NF
    Row("Training", "fer0000000.png", "0,6,1,1,1,1,0,0,0,0", 3, 0),  # happy by every rule
    Row("Training", "", "0,0,0,0,0,0,0,0,0,10", 0, 1),
    Row("Training", "fer0000001.png", "0,4,1,1,1,1,1,1,0,0", 3, 2),  # happy: single votes go
    Row("Training", "fer0000002.png", "0,0,0,8,2,0,0,0,0,0", 4, 3),  # sad
    Row("Training", "fer0000003.png", "0,0,0,3,5,2,0,0,0,0", 0, 4),  # 5 of 10 is no majority
    Row("Training", "fer0000004.png", "0,0,0,0,9,1,0,0,0,0", 0, 5),  # angry
    Row("Training", "fer0000005.png", "0,1,0,0,0,0,0,0,9,0", 1, 6),  # unknown; disgust in FER2013
    Row("Training", "fer0000006.png", "0,3,0,0,0,0,0,7,0,0", 3, 7),  # contempt
    Row("Training", "fer0000007.png", "0,9,0,0,0,0,0,0,0,0", 3, 8),  # happy, there twice
    Row("Training", "fer0000007.png", "0,9,0,0,0,0,0,0,0,0", 3, 8),
    Row("Training", "fer0000008.png", "0,9,0,0,0,0,0,0,0,0", 3, 9),  # twice, with other votes
    Row("Training", "fer0000008.png", "9,0,0,0,0,0,0,0,0,0", 3, 9),
    Row("PublicTest", "fer0030000.png", "0,10,0,0,0,0,0,0,0,0", 3, 20),
    Row("PublicTest", "fer0030001.png", "0,0,0,9,0,0,0,0,1,0", 4, 21),
    Row("PublicTest", "fer0030002.png", "0,0,0,0,7,0,0,0,3,0", 0, 22),
    Row("PrivateTest", "fer0035000.png", "0,10,0,0,0,0,0,0,0,0", 3, 30),
    Row("PrivateTest", "fer0035001.png", "0,0,0,9,0,0,0,0,1,0", 4, 31),
    Row("PrivateTest", "fer0035002.png", "0,0,0,0,7,0,0,0,3,0", 0, 32),
]
LABELLED = {0: "happy", 1: "happy", 2: "sad", 4: "angry", 7: "happy"}
BY_VOTES = [(f"FER2013Train/fer{n:07d}.png", "train", label) for n, label in LABELLED.items()]
for folder, split, first in (("Valid", "validation", 30000), ("Test", "test", 35000)):
    names = [f"FER2013{folder}/fer{first + n:07d}.png" for n in range(3)]
    BY_VOTES += [(name, split, label) for name, label in zip(names, CLASSES, strict=True)]
LEFT_OUT = {
    "not a face": 1,
    "no majority": 1,
    "unknown": 1,
    "contempt, which is no class here": 1,
    "named in two rows": 3,
}


def grey(number: int) -> np.ndarray:
    """A picture of FER2013's size that no other number gives."""
    return face_pixels(number, (48, 48))[:, :, 0]


def write_pixels(path: Path, rows: list[Row], header: str = "emotion,pixels,Usage") -> Path:
    """A table of pixels, the columns as the header has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header]
    for row in rows:
        pixels = " ".join(map(str, grey(row.picture).ravel()))
        values = {"emotion": str(row.emotion), "pixels": pixels, "Usage": row.part}
        lines.append(",".join(values[column.strip()] for column in header.split(",")))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_votes(folder: Path, rows: list[Row]) -> None:
    lines = [",".join(("Usage", "Image name", *VOTES))]
    lines += [f"{row.part},{row.name},{row.votes}" for row in rows]
    (folder / "fer2013new.csv").write_text("\n".join(lines) + "\n")


def write_pictures(root: Path, rows: list[Row], box: str | None = None) -> Path:
    """FER+'s layout; with ``box`` each folder has its label.csv, "" being one without boxes."""
    for row in rows:
        folder = root / FOLDERS[row.part]
        folder.mkdir(parents=True, exist_ok=True)
        if row.name:
            (folder / row.name).write_bytes(encoded(grey(row.picture)))
            if box is not None:
                with open(folder / "label.csv", "a") as file:
                    file.write(f"{row.name},{box}{row.votes}\n")
    if box is None:
        write_votes(root, rows)
    return root


def as_table(root: Path) -> Path:
    write_pixels(root / "fer2013.csv", ROWS)
    write_votes(root, ROWS)
    return root


def as_tar(root: Path, kind: Literal["gz", "bz2", "xz"] = "gz") -> Path:
    path = root.with_suffix(f".tar.{kind}")
    with tarfile.open(path, f"w:{kind}") as packed:
        packed.add(as_table(root), "fer2013")
    return path


FORMS: dict[str, Callable[[Path], Path]] = {
    "fer2013new.csv": lambda root: write_pictures(root, ROWS),
    "a zip": lambda root: zip_of(write_pictures(root, ROWS), root.with_suffix(".zip"), "FERPlus/"),
    "label.csv": lambda root: write_pictures(root, ROWS, box=""),
    "label.csv with boxes": lambda root: write_pictures(root, ROWS, box='"(0, 0, 48, 48)",'),
    "a table": as_table,
    "no suffix": lambda root: (as_table(root) / "fer2013.csv").rename(root / "fer2013"),
    "a tar": as_tar,
    "a tar of bzip2": lambda root: as_tar(root, "bz2"),
    "a tar of xz": lambda root: as_tar(root, "xz"),
}


def opened(path: Path, **options: object) -> Source:
    return open_source("fer2013", path, CLASSES, **options)  # type: ignore[arg-type]


def listed(source: Source) -> list[tuple[str, str, str]]:
    assert source.problems == []
    return [(face.id, face.split, CLASSES[face.label]) for face in source.faces]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_with_votes_gives_the_same_faces(form: str, tmp_path: Path) -> None:
    source = opened(FORMS[form](tmp_path / "faces"))
    assert listed(source) == BY_VOTES
    pictures = {row.name: row.picture for row in ROWS}
    for face in source.faces:
        picture = source.read(face.file)
        assert picture is not None
        np.testing.assert_array_equal(picture[1][:, :, 0], grey(pictures[Path(face.id).name]))
    left_out = dict(LEFT_OUT)
    if form.startswith("label.csv"):  # which does not list pictures without a name
        del left_out["not a face"]
    assert source.left_out == left_out
    assert source.faces[0].votes == (0, 6, 1, 1, 1, 1, 0, 0, 0, 0)


def test_rules_of_votes() -> None:
    for votes, winners in (
        ((0, 6, 1, 1, 1, 1, 0, 0, 0, 0), ["happiness", "happiness", "happiness"]),
        ((0, 4, 1, 1, 1, 1, 1, 1, 0, 0), ["happiness", None, "happiness"]),
        ((4, 0, 0, 4, 1, 0, 0, 0, 1, 0), [None, None, "neutral"]),  # the first of both
        ((0, 5, 0, 0, 3, 2, 0, 0, 0, 0), [None, None, "happiness"]),
        ((0, 3, 0, 0, 0, 0, 0, 0, 7, 0), ["unknown", "unknown", "happiness"]),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), [None, None, "neutral"]),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), ["NF", "NF", "NF"]),
        ((0, 0, 0, 0, 0, 0, 0, 5, 4, 0), ["contempt", "contempt", "contempt"]),
    ):
        assert [winner(votes, rule) for rule in RULES] == winners, votes


def test_classes_of_others_are_kept_or_refused(tmp_path: Path) -> None:
    place = as_table(tmp_path)
    source = open_source("fer2013", place, ("anger", "contempt", "happiness", "sadness"))
    assert [face.id for face in source.faces if face.label == 1] == ["FER2013Train/fer0000006.png"]
    assert "contempt, which is no class here" not in source.left_out
    with pytest.raises(UserError, match=r"none of FER2013's .*\(a, b\); they are anger, disgust"):
        open_source("fer2013", place, ("a", "b"))


@pytest.mark.parametrize(
    "header", ["emotion,pixels,Usage", "emotion, Usage, pixels", "Usage,emotion,pixels\t"]
)
def test_without_votes_the_emotion_counts(header: str, tmp_path: Path) -> None:
    write_pixels(tmp_path / "icml_face_data.csv", ROWS, header)
    source = opened(tmp_path)
    labels = {3: "happy", 4: "sad", 0: "angry"}
    assert listed(source) == [
        (f"{FOLDERS[row.part]}/line{line:05d}.png", PARTS[row.part], labels[row.emotion])
        for line, row in enumerate(ROWS, start=2)
        if row.emotion in labels
    ]
    assert source.left_out == {"disgust, which is no class here": 1}


def test_tables_without_usage(tmp_path: Path) -> None:
    train = write_pixels(tmp_path / "train.csv", ROWS[:6], "emotion,pixels")
    write_pixels(tmp_path / "test.csv", ROWS[12:15], "pixels")
    message = r"train\.csv has no column Usage, so no split; test\.csv has no labels; --test-frac"
    with pytest.raises(UserError, match=message):
        opened(tmp_path)
    with pytest.raises(UserError, match=r"^test\.csv has no labels: no column emotion; "):
        opened(tmp_path / "test.csv")
    for place in (tmp_path, train):
        faces = opened(place, has_splits=False).faces
        assert [face.split for face in faces] == ["train"] * 6
    write_pixels(tmp_path / "test.csv", ROWS[12:15], "emotion,pixels")
    counts = Counter(face.split for face in opened(tmp_path).faces)
    assert counts == {"train": 6, "test": 3}


def test_rows_that_do_not_belong_together_stop_the_import(tmp_path: Path) -> None:
    write_pixels(tmp_path / "fer2013.csv", ROWS)
    shifted = [*ROWS[1:12], ROWS[12]._replace(name="fer0030009.png"), *ROWS[12:]]
    for rows, message in (
        (shifted, "fer2013.csv:13 is of Training, fer2013new.csv:13 of PublicTest: the two"),
        (ROWS[:-1], "fer2013.csv:19 is of PrivateTest, fer2013new.csv has no more rows: the two"),
        ([*ROWS, ROWS[-1]], "fer2013.csv has no more rows, fer2013new.csv:20 of PrivateTest: the"),
    ):
        write_votes(tmp_path, rows)
        with pytest.raises(UserError, match=re.escape(message)) as caught:
            opened(tmp_path)
        assert "\n" not in str(caught.value)


def test_faults_are_named_with_their_row(tmp_path: Path) -> None:
    table = write_pixels(tmp_path / "fer2013.csv", ROWS)
    whole = " ".join(["7", "9"] * 1152)
    for number, line in [
        (2, f"3,{whole[2:]},Training"),
        (3, f"3,{whole} 1,Training"),
        (4, f"3,{whole.replace('9', '256', 1)},Training"),
        (5, f"3,{whole.replace('9', '-9', 1)},Training"),
        (6, f"7,{whole},Training"),
        (7, f"happy,{whole},Training"),
        (8, f"3,{whole},Test"),
        (9, f"3,{whole},Training,,,"),
        (10, f"3,{' '.join(['255'] * 2304)},Training"),
        (11, f"3,{whole.replace('9', '1_22', 1)},Training"),
        (12, f"3,{whole.replace('9', '٣', 1)},Training"),
    ]:
        edit_line(table, number, line)
    source = opened(tmp_path)
    assert list(map(str, source.problems)) == [
        "fer2013.csv:2: pixels has 2,303 numbers",
        "fer2013.csv:3: pixels has 2,305 numbers",
        "fer2013.csv:4: pixels has the value '256'",
        "fer2013.csv:5: pixels has the value '-9'",
        "fer2013.csv:6: emotion '7' is not a label",
        "fer2013.csv:7: emotion 'happy' is not a label",
        "fer2013.csv:8: Usage 'Test' is no part",
        f"fer2013.csv:9: line '{'3,' + whole[:37]}' has 6 fields, the first line 3",
        "fer2013.csv:11: pixels has the value '1_22'",
        "fer2013.csv:12: pixels has the value '٣'",
    ]
    assert source.notes[0] == "blank pictures left out: 1 (fer2013.csv:10)"


def test_faults_of_votes_are_named_with_their_row(tmp_path: Path) -> None:
    write_pictures(tmp_path, ROWS)
    table = tmp_path / "fer2013new.csv"
    edit_line(table, 2, "Training,fer0000000.png,0,x,0,0,0,0,0,0,0,0")
    (tmp_path / "FER2013Train/fer0000001.png").unlink()
    (tmp_path / "FER2013Train/fer0000099.png").write_bytes(encoded(grey(99)))
    source = opened(tmp_path)
    assert list(map(str, source.problems)) == [
        "fer2013new.csv:2: votes '0,x,0,0,0,0,0,0,0,0' cannot be read",
        f"fer2013new.csv:4: image 'fer0000001.png' is not in {tmp_path}",
    ]
    assert source.notes[0] == "1 pictures without votes were left out"
    for count in ("9" * 5000, "²"):  # neither of which int() reads
        edit_line(table, 2, f"Training,fer0000000.png{',0' * 9},{count}")
        assert opened(tmp_path).problems[0].field == "votes"
    edit_line(table, 3, "Test,fer0000000.png,0,0,0,0,0,0,0,0,0,0")
    with pytest.raises(UserError, match=r"fer2013new\.csv:3: Usage 'Test' is none of Training, Pu"):
        opened(tmp_path)
    for name in ("../fer0000000.png", ".fer0000000.png"):  # with a table of pixels: its picture's
        edit_line(table, 3, f"Training,{name}{',0' * 10}")
        with pytest.raises(UserError, match=rf"new\.csv:3: Image name '{name}' is no name of a fi"):
            opened(tmp_path)
    edit_line(table, 3, "Training,fer0000000.png")
    with pytest.raises(UserError, match=r"new\.csv:3 has 2 fields, expected Usage, a name, ten v"):
        opened(tmp_path)
    table.rename(tmp_path / "FER2013Train/label.csv")
    for part in ("Valid", "Test"):
        (tmp_path / f"FER2013{part}/label.csv").touch()
    with pytest.raises(UserError, match=r"Train/label\.csv:3 has 2 fields, expected a name, per"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/angry/Training_1.jpg", r"nothing of FER2013 in it; .*`fsr-fer import folder`; th"),
        ("fer2013new.csv", r"nothing of FER2013 in it; expected FER2013Train/\*\.png with"),
        ("FER2013Train/fer0000000.png", "neither fer2013new.csv nor FER2013Train/label.csv"),
    ],
)
def test_what_is_no_form_is_one_line(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(encoded(grey(1)))
    with pytest.raises(UserError, match=message):
        opened(tmp_path)


def test_a_missing_test_part_is_said_or_replaced(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row.part != "PrivateTest"]
    place = write_pictures(tmp_path / "two", rows)
    write_votes(place, ROWS)  # it may list parts that are not there
    with pytest.raises(UserError, match=r"no faces of PrivateTest, the test part; --test PublicTe"):
        opened(place)
    source = opened(place, test_part="PublicTest")
    assert Counter(face.split for face in source.faces) == {"train": 5, "test": 3}
    assert "PublicTest is the test part here" in source.notes[0]
    summary = run_import("fer2013", place, tmp_path / "data/raw/two", test_part="PublicTest")
    assert summary.faces == {"train": 5, "test": 3}
    (place / "FER2013Train/fer0000003.png").write_text("a face without a majority")
    with pytest.raises(UserError, match=r"1 problem, .*fer0000003\.png: file is not a picture"):
        run_import("fer2013", place, tmp_path / "data/raw/one", test_part="PublicTest")
    train = write_pixels(tmp_path / "one/x", [row for row in ROWS if row.part == "Training"])
    for options in ({}, {"test_part": "PublicTest"}):  # which is not there either
        with pytest.raises(UserError, match=r", the test part; --test-fraction 0\.2 draws one"):
            opened(train, **options)
    assert {face.split for face in opened(train, has_splits=False).faces} == {"train"}
    with pytest.raises(UserError, match=r"^x lists no faces"):
        opened(write_pixels(tmp_path / "one/x", []))
    with pytest.raises(UserError, match=r"one/gone\.gz: nothing of FER2013 in it"):
        opened(train.rename(tmp_path / "one/gone.gz"))
    with pytest.raises(UserError, match=r"has a test part, PrivateTest; leave out --test"):
        opened(write_pictures(tmp_path / "all", ROWS), test_part="PublicTest")


def with_duplicates(root: Path) -> Path:
    """A sad train face is also in test; a happy and an angry one are twice in train."""
    rows = [row._replace(name=f"fer{n:07d}.png") for n, row in enumerate(ROWS) if row.name]
    rows[2] = rows[2]._replace(picture=31)
    extra = Row("Training", "fer0000098.png", "0,0,0,8,2,0,0,0,0,0", 4, 40)
    again = Row("Training", "fer0000099.png", "0,0,0,0,9,1,0,0,0,0", 0, 5)
    return write_pictures(root, [*rows, extra, again])


def test_duplicates_are_refused_or_dropped_and_the_stages_agree(tmp_path: Path) -> None:
    faces, target = with_duplicates(tmp_path / "faces"), tmp_path / "data/raw/mine"
    with pytest.raises(UserError, match=r"is the same picture as .*duplicates: drop keeps one"):
        run_import("fer2013", faces, target)
    summary = run_import("fer2013", faces, target, duplicates="drop")
    assert summary.faces == {"train": 6, "validation": 3, "test": 3}
    expected = "2 equal to one in the same part, 1 equal to one in a later part"
    assert f"equal pictures left out: {expected}" in summary.notes
    directory = tmp_path / "dataset"
    manifest = build("fer2013", target, directory, duplicates="drop")
    assert Counter(manifest.splits) == summary.faces
    assert (directory / "manifest.csv").read_text().splitlines()[1].endswith(",0.75 0.125 0.125")
    train, validation = open_faces_of(directory, CLASSES)
    # 6, 1 and 1 of 8 votes for happy, sad and angry.
    targets = train.targets(torch.tensor([0]), soft=True)
    torch.testing.assert_close(targets, torch.tensor([[0.75, 0.125, 0.125]]))
    assert validation.shares is not None
    assert validation.shares.shape == (len(validation), 3)
    assert json.loads((directory / "left_out.json").read_text()) == {
        "no majority": 1,
        "unknown": 1,
        "contempt, which is no class here": 1,
        "neutral, which is no class here": 1,
        "equal to one in a later part": 1,
        "equal to one in the same part": 2,
    }


def test_an_import_keeps_what_another_rule_needs(tmp_path: Path) -> None:
    target = tmp_path / "data/raw/mine"
    place = as_table(tmp_path / "faces")
    summary = run_import("fer2013", place, target)
    assert summary.faces == {"train": 5, "validation": 3, "test": 3}
    assert sorted(file.name for file in target.iterdir()) == ["images.zip", "labels.csv"]
    for rule in RULES:
        original, imported = (opened(where, vote_rule=rule) for where in (place, target))
        assert sorted(listed(imported)) == sorted(listed(original)), rule
    counts = {rule: len(opened(target, vote_rule=rule).faces) for rule in RULES}
    # strict loses 1 (4 votes of 10); plurality wins 3 (5 of 10) and 5 (one vote, 9 unknown).
    assert counts == {"ferplus": 11, "strict": 10, "plurality": 13}
    built = {rule: build("fer2013", target, tmp_path / rule, votes=rule).ids for rule in RULES}
    assert {rule: len(ids) for rule, ids in built.items()} == counts
    strict = run_import("fer2013", place, tmp_path / "data/raw/strict", votes="strict")
    assert sum(strict.faces.values()) == 10
    again = tmp_path / "data/raw/again"
    run_import("fer2013", target, again)
    assert (again / "labels.csv").read_bytes() == (target / "labels.csv").read_bytes()


def test_a_drawn_test_part(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row.emotion != 1] + [
        Row("Training", "", "", emotion, 50 + n) for n, emotion in enumerate([0, 3, 4] * 2)
    ]
    table = write_pixels(tmp_path / "train.csv", rows, "emotion,pixels")
    target = tmp_path / "data/raw/mine"
    summary = run_import("fer2013", table, target, test_fraction=0.3, duplicates="drop")
    assert set(summary.faces) == {"train", "test"}
    assert (target / "labels.csv").read_text().startswith("image,label,split,subject\n")


def test_a_drawn_test_part_and_persons_are_those_of_another_rule_too(tmp_path: Path) -> None:
    target, again = tmp_path / "data/raw/mine", tmp_path / "data/raw/again"
    run_import("fer2013", write_pictures(tmp_path / "faces", ROWS), target, test_fraction=0.5)
    undecided = opened(target).undecided  # no majority, unknown, contempt
    assert Counter(face.split for face in undecided) == {"train": 1, "test": 2}
    rows = [line.split(",")[:11] for line in (target / "labels.csv").read_text().splitlines()]
    (target / "labels.csv").write_text("\n".join(map(",".join, rows)))
    run_import("csv", target, again, test_fraction=0.5, subject_from=r"(\d)\.png")
    stored = open_source("csv", again, CLASSES)
    assert {face.subject for face in stored.undecided} == {"3", "5", "6"}


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    path = as_tar(tmp_path / "a")
    for content in (path.read_bytes()[:3000], b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"is not a tar file, or a damaged one: [^\n]+\Z"):
            opened(path)
    as_table(tmp_path / "b")
    content = (tmp_path / "b/fer2013.csv").read_bytes()
    (tmp_path / "b/fer2013.csv").write_bytes(content[:20000] + b"\xff" + content[20001:])
    with pytest.raises(UserError, match=r"fer2013\.csv:4 is not UTF-8 text"):
        opened(tmp_path / "b")


def test_the_votes_of_the_shared_faces() -> None:
    if not FERPLUS.is_file():
        pytest.skip("FER+'s pictures and votes are not on this machine")
    with zipfile.ZipFile(FERPLUS) as packed:
        text = packed.read("fer2013new.csv").decode()
    rows = [list(map(int, row[2:])) for row in csv.reader(io.StringIO(text))
            if row[0] == "Training" and row[1]]  # fmt: skip
    counts = {rule: Counter(winner(votes, rule) for votes in rows) for rule in RULES}
    found = [counts["ferplus"][name] for name in EXPRESSIONS]
    assert found == [8740, 7287, 3149, 3014, 2100, 119, 532, 119]
    kept = {rule: sum(counts[rule][name] for name in EXPRESSIONS) for rule in RULES}
    # Elsewhere the plurality of all 28,561 is told; in two of them all ten saw no face.
    assert kept == {"ferplus": 25060, "strict": 21811, "plurality": 28559}
