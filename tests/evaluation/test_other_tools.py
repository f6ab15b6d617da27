"""Other tools: the faces they are given, the table they give back, and what is wrong with it."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.data.manifest import Manifest
from fsr_fer.evaluation.imported import read_imported
from fsr_fer.evaluation.other_tools import read_table, write_faces
from fsr_fer.evaluation.predictions import PredictionTable, parse_predictions

CLASSES = ("fear", "happiness", "anger")
SCALES = (2, 8)
# The test faces are b, of fear, and c/d, of anger.
MANIFEST = Manifest(
    ids=("a", "b", "c/d"),
    splits=("train", "test", "test"),
    labels=np.array([0, 0, 2]),
    class_names=CLASSES,
)


def read(text: str, scales: tuple[int, ...] = SCALES) -> tuple[PredictionTable, list[str]]:
    return read_table(text.encode(), Path("t.csv"), MANIFEST, scales)


def named(table: PredictionTable) -> dict[str, list[str]]:
    return {s: [CLASSES[k] for k in column] for s, column in table.predicted.items()}


def test_labels_in_any_order_and_spelling_of_class_and_size():
    text = "\ufeffSize, ID ,label\n13,c/d,Happy\n\n100, b ,fearful\nX8,b,angry\nhr,c/d,anger\n,,\n"
    table, notes = read(text)
    assert (table.ids, table.labels.tolist()) == (("b", "c/d"), [0, 2])
    assert named(table) == {"hr": ["fear", "anger"], "x8": ["anger", "happiness"]}
    assert list(table.predicted) == ["hr", "x8"]
    assert table.confidence == {}
    assert notes == ["sizes without rows, left empty: x2"]


def test_probabilities_are_shared_out_among_our_classes():
    # Of 0.6 for our classes 0.45, which is 3/4; percent are as good: 30 of 40, 6 of 8.
    for rows in (
        "b,x2,0.15,0.4,0.45,9\nc/d,x2,0.3,0.6,0.1,8\n",
        "b,x2,2,92,6,1\nc/d,x2,30,60,10,x\n",
    ):
        table, notes = read(f"id,size,happy,contempt,angry,frame\n{rows}")
        assert named(table) == {"x2": ["anger", "happiness"]}
        np.testing.assert_allclose(table.confidence["x2"], [0.75, 0.75])
        assert notes == [
            "columns that are no class here, left out: 'contempt', 'frame'",
            "classes without a column, never predicted: fear",
            "sizes without rows, left empty: hr, x8",
        ]


def test_of_equal_probabilities_the_first_class_counts():
    table, notes = read("id,size,fear,anger\nb,hr,0.2,0.2\nc/d,hr,0,1e-9\n")
    assert notes[0] == "rows whose probabilities do not add up to 1, scaled to it: 2"
    _, notes = read("id,size,fear,anger\nb,hr,20,20\nc/d,hr,4,96\n")
    assert notes[0] == "rows whose probabilities do not add up to 100, scaled to it: 1"
    assert named(table) == {"hr": ["fear", "anger"]}
    assert table.confidence["hr"].tolist() == [0.5, 1.0]
    _, notes = read("id,size,fear,anger\nb,hr,1,.01\nc/d,hr,0,1\n")  # rounded
    assert "rows whose" not in notes[0]


def test_two_sizes_of_the_same_width_go_by_their_scale():
    with pytest.raises(UserError, match=r"line 2: size '6' is none of hr, x17, x18, 100"):
        read("id,size,label\nb,6,fear\nc/d,6,fear\n", scales=(17, 18))


GOOD = "id,size,label\nb,hr,fear\nc/d,hr,fear\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No columns to parse from file; expected id,size,label"),
        ("x" * 1000, "its first line is 'x{80}'; expected"),
        ("id;size;label\nb;hr;fear\n", "its first line is 'id;size;label'; expected id,size,label"),
        ("id,label,x\nb,fear,1\n", "its first line is 'id,label,x'"),
        ("id,size,label\n", "no rows below its first line"),
        ("id,size,label,ID\nb,hr,fear,b\n", "column 'id' is there 2 times"),
        (GOOD + "b,x2\n", "without a row at x2: 1 of 2, the first 'c/d'"),
        (GOOD + "b,x2,fear,1\n", "Expected 3 fields in line 4, saw 4; expected id,size,label"),
        (GOOD + 'b,x2,"fear\n', "EOF inside string starting at row 3; expected id,size,label"),
        (GOOD + "a,x2,fear\n", "no test face's: 1, the first 'a' in line 4; .*such as 'b'"),
        (GOOD + "b,x3,fear\n", "line 4: size 'x3' is none of hr, x2, x8, 100, 50, 13"),
        (GOOD + "\nb,100,fear\n", "line 5: 'b' at hr is there already"),
        (GOOD.replace("fear", "0"), "line 2: label '0' is none of fear, happiness, anger"),
        ("id,size,label,fear\nb,hr,fear,1\nc/d,hr,fear,1\n", "column 'fear' stands beside 'label'"),
        ("id,size,class\nb,hr,1\nc/d,hr,1\n", "no column is label or one of fear, .* has class"),
        ("id,size,angry,anger\nb,hr,1,0\nc/d,hr,1,0\n", "'angry' and 'anger' are one class"),
        ("id,size,fear\nb,hr,-1\nc/d,hr,1\n", "line 2: fear is '-1'; expected a probability"),
        ("id,size,fear\nb,hr,1\nc/d,hr,nan\n", "line 3: fear is 'nan'"),
        ("id,size,fear,anger\nb,hr,.5,.5\nc/d,hr,3.2,.1\n", "line 3: the .* add up to 3.3"),
        ("id,size,fear,anger\nb,hr,.9,.2\nc/d,hr,.5,.5\n", "line 2: the .* add up to 1.1;"),
        ("id,size,fear\nb,hr,1\nc/d,hr,inf\n", "line 3: fear is 'inf'; expected a probability"),
        ("id,size,fear,anger\nb,hr,1e308,1e308\nc/d,hr,0,1\n", "line 2: fear is '1e308'"),
        (
            "id,size,fear,anger,x\nb,hr,.4,.4,.7\nc/d,hr,.4,.4,.7\n",  # independent scores
            "line 2: the probabilities, those of 'x' included, add up to 1.5; expected",
        ),
        ("id,size,fear,anger\nb,hr,20,9\nc/d,hr,9,8\n", "line 2: the .* add up to 29"),
        ("id,size,fear,x\nb,hr,1,a\nc/d,hr,0,b\n", "line 3: the probabilities add up to 0;"),
        (
            "id,size,fear,x\nb,hr,1,0\nc/d,hr,0,1\n",
            "line 3: the probability of each class here is 0, that of 'x' is not; expected",
        ),
    ],
)
def test_what_is_wrong_is_one_line(text: str, message: str):
    with pytest.raises(UserError, match=rf"^t\.csv: .*{message}") as e:
        read(text)
    assert "\n" not in str(e.value)


def test_bytes_that_are_no_text():
    with pytest.raises(UserError, match=r"t\.csv: 'utf-8' codec can't decode byte 0xff"):
        read_table(b"i\xff", Path("t.csv"), MANIFEST, SCALES)


def test_faces_are_written_in_their_own_pixels(tmp_path: Path):
    full = np.arange(3 * 100 * 100 * 3).reshape(3, 100, 100, 3).astype(np.uint8)
    small = full[:, :13, :13]
    np.save(tmp_path / "full.npy", full)
    np.save(tmp_path / "x8.npy", small)
    folder = tmp_path / "faces"
    folder.mkdir()  # an empty one is as good as none
    files = tmp_path / "full.npy", {8: tmp_path / "x8.npy"}
    assert write_faces(folder, MANIFEST, *files) == 2
    with open(folder / "faces.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "size", "pixels", "picture"],
        ["b", "hr", "100", "hr/b.png"],
        ["c/d", "hr", "100", "hr/c/d.png"],
        ["b", "x8", "13", "x8/b.png"],
        ["c/d", "x8", "13", "x8/c/d.png"],
    ]
    np.testing.assert_array_equal(Image.open(folder / "hr/b.png"), full[1])
    np.testing.assert_array_equal(Image.open(folder / "x8/c/d.png"), small[2])
    for there in (folder, folder / "faces.csv"):
        with pytest.raises(UserError, match=f"{there} is there already; name a new folder"):
            write_faces(there, MANIFEST, *files)


LISTED = (
    b"id,source,split,label,subject,sha256\na,,train,fear,,0\nb,,test,fear,,1\nc/d,,test,anger,,2\n"
)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What another tool predicts, imported for the profile ``tiny`` of the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("manifest.csv").write_bytes(LISTED)
    path = Path("data/raw/predictions/tiny/tool.csv")
    table, _ = read("id,size,fear,anger\nb,x2,0.25,0.75\nc/d,x2,.5,.5\n")
    replace(table, hashes=("1", "2")).write(path)
    return path


def test_the_stored_form_names_each_face_by_its_pixels(stored: Path):
    text = "id,label,x2,x2.confidence,sha256\nb,fear,anger,0.750,1\nc/d,anger,fear,0.500,2\n"
    assert stored.read_text() == text
    table = parse_predictions(stored.read_bytes(), stored, CLASSES)
    assert named(table) == {"x2": ["anger", "fear"]}
    assert table.faces == [("b", "fear", "1"), ("c/d", "anger", "2")]


def test_all_tools_of_a_profile_are_read(stored: Path):
    (stored.parent / "again.csv").write_bytes(stored.read_bytes())
    found = read_imported("tiny", CLASSES, SCALES, Path("manifest.csv"), ["ours"])
    assert list(found) == ["again", "tool"]
    assert read_imported("other", CLASSES, SCALES, Path("manifest.csv"), []) == {}


def test_sizes_that_the_profile_has_no_more_count_nothing(stored: Path):
    table, _ = read("id,size,fear,anger\nb,x2,1,0\nc/d,x2,1,0\nb,x8,0,1\nc/d,x8,0,1\n")
    replace(table, hashes=("1", "2")).write(stored)
    found = read_imported("tiny", CLASSES, (3, 8), Path("manifest.csv"), [])["tool"]
    assert named(found) == {"x8": ["anger", "anger"]}
    assert list(found.confidence) == ["x8"]
    with pytest.raises(UserError, match=r"tool\.csv has none of the sizes hr, x3; import it anew"):
        read_imported("tiny", CLASSES, (3,), Path("manifest.csv"), [])


@pytest.mark.parametrize("change", [(b",,1\n", b",,3\n"), (b"test,fear", b"test,anger")])
def test_predictions_for_other_faces_count_nothing(stored: Path, change: tuple[bytes, bytes]):
    Path("manifest.csv").write_bytes(LISTED.replace(*change))
    with pytest.raises(UserError, match=r"tool\.csv is of other test faces than manifest\.csv"):
        read_imported("tiny", CLASSES, SCALES, Path("manifest.csv"), [])


def test_a_name_of_ours_and_a_damaged_or_missing_file_are_refused(stored: Path):
    with pytest.raises(UserError, match=r"tool\.csv is called like a method of params\.yaml"):
        read_imported("tiny", CLASSES, SCALES, Path("manifest.csv"), ["tool"])
    for content, message in (
        ("id,label,hr\nb,fear,fear\n", "was not written by `fsr-fer predictions import`"),
        ("", "no predictions"),
        ("a,sha256\n\xff,1\n", "no predictions"),
    ):
        stored.write_text(content)
        with pytest.raises(UserError, match=rf"tool\.csv.* {message}"):
            read_imported("tiny", CLASSES, SCALES, Path("manifest.csv"), [])
    stored.rename(f"{stored}.dvc")
    with pytest.raises(UserError, match=r"tool\.csv is not here: `dvc checkout` or `dvc pull`"):
        read_imported("tiny", CLASSES, SCALES, Path("manifest.csv"), [])
