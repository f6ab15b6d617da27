"""An import is all or nothing, finds every fault at once, and packs the same bytes again."""

import csv
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.listing import SourceName
from fsr_fer.data.sources import RAFDB_CLASSES, open_source
from tests.data.raw_faces import CLASSES, edit_line, encoded, face_pixels, run_import


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data/raw/mine"


def stored(target: Path) -> dict[str, bytes]:
    files = (file for file in sorted(target.rglob("*")) if file.is_file())
    return {file.relative_to(target).as_posix(): file.read_bytes() for file in files}


def test_an_import_reads_like_the_original_and_has_the_same_bytes_again(
    rafdb: Path, csv_folder: Path, class_folders: Path, tmp_path: Path
) -> None:
    cases: tuple[tuple[SourceName, Path, set[str]], ...] = (
        ("rafdb", rafdb, {"EmoLabel/list_patition_label.txt", "Image/aligned.zip"}),
        ("csv", csv_folder, {"images.zip", "labels.csv"}),
        ("folder", class_folders, {"images.zip"}),
    )
    for name, path, files in cases:
        target = tmp_path / "data/raw" / name
        summary = run_import(name, path, target)
        assert stored(target).keys() == files
        original, imported = (open_source(name, place, CLASSES) for place in (path, target))
        assert sum(summary.faces.values()) == len(original.faces) > 0
        for before, after in zip(original.faces, imported.faces, strict=True):
            assert (after.id, after.split, after.label) == (before.id, before.split, before.label)
            assert imported.pictures.read(after.file) == original.pictures.read(before.file)
        assert summary.subjects == (6 if name == "csv" else 0)
        copied = shutil.copytree(path, tmp_path / f"copy-{name}", copy_function=shutil.copyfile)
        run_import(name, copied, tmp_path / "a/b" / name)
        assert stored(tmp_path / "a/b" / name) == stored(target)
        (pictures,) = target.rglob("*.zip")
        with zipfile.ZipFile(pictures) as packed:
            assert {info.compress_type for info in packed.infolist()} == {zipfile.ZIP_STORED}


def test_every_fault_is_listed_and_nothing_is_imported(csv_folder: Path, target: Path) -> None:
    images = csv_folder / "images"
    table = csv_folder / "labels.csv"
    (images / "train0.png").write_text("a text named like a picture")
    (images / "train1.png").write_bytes(b"")
    whole = (images / "train2.png").read_bytes()
    (images / "train2.png").write_bytes(whole[: len(whole) // 2])
    (images / "train3.png").unlink()
    # Sad in train and in test, in another file format.
    (images / "test1.png").write_bytes(encoded(face_pixels(4), "BMP"))
    edit_line(table, 13, "train11.png,9,train,ann")
    edit_line(table, 14, "test0.png,happy,exam,ann")
    (images / "train11.png").write_text("wrong label and no picture: both are found")
    with pytest.raises(UserError) as caught:
        run_import("csv", csv_folder, target)
    with open(target.parent.with_name("problems.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["file"], row["field"], row["value"]) for row in rows}
    assert "is the same picture as images/train4.png in train" in [row["problem"] for row in rows]
    assert found == {
        ("labels.csv:5", "image", "train3.png"),
        ("labels.csv:13", "label", "9"),
        ("labels.csv:14", "split", "exam"),
        ("images/train0.png", "file", ""),
        ("images/train1.png", "file", ""),
        ("images/train2.png", "file", ""),
        ("images/train11.png", "file", ""),
        ("images/test1.png", "split", "test"),
    }
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("nothing was imported: 8 problems, listed in ")
    assert message.endswith("; and 5 more")
    assert message.count("labels.csv:") == 3
    assert not target.exists()
    assert not list(target.parent.glob("*"))


def test_splits_that_training_cannot_use_are_problems(csv_folder: Path, target: Path) -> None:
    table = csv_folder / "labels.csv"
    whole = table.read_text()
    for pattern, replacement, message in (
        (r"\n.*,sad,test.*", "", r"label 'sad' has no faces in test \(allowed: each class"),
        (",test,", ",train,", r": 1 problem, .* split 'test' has no faces"),
        ("test person 0", "train person 0", "subject 'train person 0' is in train and in test"),
    ):
        table.write_text(re.sub(pattern, replacement, whole))
        with pytest.raises(UserError, match=message):
            run_import("csv", csv_folder, target)


def test_another_import_is_replaced_only_with_force_and_only_if_it_has_no_faults(
    csv_folder: Path, target: Path
) -> None:
    run_import("csv", csv_folder, target)
    before = stored(target)
    run_import("csv", csv_folder, target)  # the same again is no conflict
    edit_line(csv_folder / "labels.csv", 2, "train0.png,sad,train,ann")
    with pytest.raises(UserError, match=r"already holds another import.*--force"):
        run_import("csv", csv_folder, target)
    (csv_folder / "images/train5.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"train5\.png: file is empty \(0 bytes\)"):
        run_import("csv", csv_folder, target, force=True)
    assert stored(target) == before
    (csv_folder / "images/train5.png").write_bytes(encoded(face_pixels(5)))
    run_import("csv", csv_folder, target, force=True)
    assert stored(target)["labels.csv"] == (csv_folder / "labels.csv").read_bytes()
    assert not target.parent.with_name("problems.csv").exists()


def test_unusual_sizes_and_nearly_black_pictures_are_noted(csv_folder: Path, target: Path) -> None:
    (csv_folder / "images/train0.png").write_bytes(encoded(face_pixels(500, (120, 100))))
    (csv_folder / "images/train1.png").write_bytes(encoded(face_pixels(501, (48, 48))))
    twelve_bit = (face_pixels(3)[:, :, 0].astype(np.uint16) + 1) * 15  # at most 3,840
    (csv_folder / "images/train2.png").write_bytes(encoded(twelve_bit))
    notes = run_import("csv", csv_folder, target).notes
    assert notes[0].startswith("pictures that are not square: 1")
    assert notes[1].startswith("nearly black pictures: 1, the first images/train2.png")
    assert notes[2].startswith("pictures smaller than 100 pixels: 1")


def test_options_that_do_not_fit_are_refused(csv_folder: Path, target: Path) -> None:
    rafdb = "splits, numbers and persons; leave out these options"
    fer2013 = "has its own numbers, and knows nobody; leave out these options"
    cases: tuple[tuple[SourceName, dict[str, object], str], ...] = (
        ("rafdb", {"test_fraction": 0.2}, rafdb),
        ("rafdb", {"numbered_from": 0}, rafdb),
        ("rafdb", {"subject_from": "(.)"}, rafdb),
        ("fer2013", {"numbered_from": 0}, fer2013),
        ("fer2013", {"subject_from": "(.)"}, fer2013),
        ("folder", {"test_part": "PublicTest"}, "--test names a part of FER2013"),
        ("csv", {"test_fraction": 0.2}, "has a column split; leave out --test-fraction"),
    )
    for name, options, message in cases:
        with pytest.raises(UserError, match=message):
            run_import(name, csv_folder, target, **options)


def test_what_is_no_import_is_not_replaced(csv_folder: Path, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is no import and was left as it is; move it elsewhere"):
        run_import("csv", csv_folder, target, force=True, is_import=False)
    assert stored(target) == {"notes.txt": b"mine"}


def test_two_folders_of_one_class_are_both_imported(class_folders: Path, target: Path) -> None:
    folders = class_folders / "train"
    (folders / "ANGRY").mkdir()
    for number in range(3):
        picture = encoded(face_pixels(100 + number))
        (folders / f"ANGRY/{number}.png").write_bytes(picture)
    summary = run_import("folder", folders, target, test_fraction=0.34)
    assert sum(summary.faces.values()) == 12
    with zipfile.ZipFile(target / "images.zip") as packed:
        assert len(set(packed.namelist())) == 12
    assert len(open_source("folder", target, CLASSES).faces) == 12


def test_rafdbs_numbers_are_its_names_in_any_order(rafdb: Path) -> None:
    own = open_source("rafdb", rafdb, RAFDB_CLASSES)
    meant = [RAFDB_CLASSES[face.label] for face in own.faces]
    assert set(meant) == {"surprise", "fear", "disgust"}
    spelt = ("Angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
    eight = ("anger", "contempt", *(name for name in RAFDB_CLASSES if name != "anger"))
    for names in (sorted(RAFDB_CLASSES), spelt, eight):
        source = open_source("rafdb", rafdb, tuple(names))
        found = [names[face.label] for face in source.faces]
        nouns = {"surprised": "surprise", "fearful": "fear"}
        assert [nouns.get(name, name) for name in found] == meant
        assert source.notes == own.notes  # counts of the classes 1 to 7
    with pytest.raises(UserError, match="some of RAF-DB's classes at other places"):
        open_source("rafdb", rafdb, ("anger", "disgust", "fear", "joy", "neutral", "a", "b"))
    translated = tuple(f"class {number}" for number in range(7))
    in_order = open_source("rafdb", rafdb, translated)
    assert [f.label for f in in_order.faces] == [f.label for f in own.faces]
    assert in_order.notes[-1].startswith("RAF-DB's numbers are taken in the order of class_names")


def test_names_that_no_table_holds_are_refused(class_folders: Path, target: Path) -> None:
    for number, name in enumerate(("c\rd.png", "x\\1.png")):
        odd = class_folders / f"train/sad/{number}.png"
        odd.rename(odd.with_name(name))
    message = "2 problems, .* has a backslash or a control character in its name$"
    with pytest.raises(UserError, match=message):
        run_import("folder", class_folders, target)
    assert not target.exists()
