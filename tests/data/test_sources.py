"""Every form of source, as folder and as zip, gives the same faces; the lists' faults are named."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data import archive, sources
from fsr_fer.data.listing import Source, class_position, split_named
from fsr_fer.data.sources import RAFDB_CLASSES, open_source
from tests.data.raw_faces import CLASSES, edit_line, encoded, face_pixels, run_import, zip_of


def listed(source: Source) -> list[tuple[str, str, int, str]]:
    assert source.problems == []
    return [(face.id, face.split, face.label, face.subject) for face in source.faces]


def pixels(source: Source) -> np.ndarray:
    pictures = [source.read(face.file) for face in source.faces]
    return np.stack([picture[1] for picture in pictures if picture])


def problems(source: Source) -> list[str]:
    return list(map(str, source.problems))


def test_rafdb_forms_are_equal_and_labels_count_from_1(rafdb: Path, tmp_path: Path) -> None:
    (rafdb / "EmoLabel/subject.txt").write_text("train_00001.jpg ann\ntest_00001.jpg bob\n")
    plain = open_source("rafdb", rafdb, CLASSES)
    faces = listed(plain)  # in the order of the table
    assert len(faces) == 18
    assert faces[0] == ("test_00000.jpg", "test", 0, "")
    assert faces[7] == ("train_00001.jpg", "train", 1, "ann")
    packed = tmp_path / "packed"
    (packed / "Image").mkdir(parents=True)
    shutil.copytree(rafdb / "EmoLabel", packed / "EmoLabel")
    zip_of(rafdb / "Image/aligned", packed / "Image/aligned.zip", "aligned/")
    places = {
        "folder with aligned.zip": packed,
        "zip of plain files": zip_of(rafdb, tmp_path / "plain.zip", "basic/"),
        "zip in a zip": zip_of(packed, tmp_path / "nested.zip", "basic/"),
    }
    for form, place in places.items():
        source = open_source("rafdb", place, CLASSES)
        assert listed(source) == faces, form
        np.testing.assert_array_equal(pixels(source), pixels(plain), form)
    shutil.copytree(rafdb / "Image/aligned", packed / "Image/aligned")
    (packed / "Image/aligned/train_00001_aligned.jpg").unlink()
    (missing,) = open_source("rafdb", packed, CLASSES).problems
    assert missing.value == "train_00001_aligned.jpg"
    assert "; Image/aligned.zip beside it is read where no face is unpacked" in missing.allowed
    with pytest.raises(UserError, match=r"no list_patition_label\.txt in it; expected RAF-DB's"):
        open_source("rafdb", packed / "Image", CLASSES)


def test_rafdb_faults_are_named_with_their_line(rafdb: Path) -> None:
    table = rafdb / "EmoLabel/list_patition_label.txt"
    edit_line(table, 1, "test_00000.jpg 9")
    edit_line(table, 2, "test_00001.jpg")
    edit_line(table, 3, "holdout_00002.jpg 3")
    edit_line(table, 5, "test_00003.jpg 1")
    edit_line(table, 6, "test_00005.jpg 3 1")
    edit_line(table, 7, "train_00000.jpg happy")
    (rafdb / "EmoLabel/subject.txt").write_text("test_00000.jpg ann\nnobody.jpg bob\n")
    same_name = rafdb / "Image/more/train_00001_aligned.JPG"
    same_name.parent.mkdir()
    shutil.copy(rafdb / "Image/aligned/train_00002_aligned.jpg", same_name)
    source = open_source("rafdb", rafdb, CLASSES)
    listed_in = "list_patition_label.txt"
    assert problems(source) == [
        "Image/more/train_00001_aligned.JPG: name 'train_00001' is that of "
        "Image/aligned/train_00001_aligned.jpg too",
        "EmoLabel/subject.txt:2: line 'nobody.jpg bob' cannot be read",
        f"{listed_in}:1: label '9' is not a label",
        f"{listed_in}:2: line 'test_00001.jpg' has 1 field",
        f"{listed_in}:3: image 'holdout_00002_aligned.jpg' is not in {rafdb}",
        f"{listed_in}:3: split 'holdout' is not a split",
        f"{listed_in}:5: id 'test_00003.jpg' is there twice (first: {listed_in}:4)",
        f"{listed_in}:6: line 'test_00005.jpg 3 1' has 3 fields",
        f"{listed_in}:7: label 'happy' is not a number",
    ]
    assert source.problems[2].allowed == "1 to 3, standing for happy, sad, angry"
    assert source.problems[-1].allowed == "RAF-DB's, 1 to 7"


def mirrored(rafdb: Path, root: Path) -> Path:
    """The same faces as RAF-DB's mirrors have them."""
    rows = {"train": ["image,label"], "test": ["image,label"]}
    for line in (rafdb / "EmoLabel/list_patition_label.txt").read_text().splitlines():
        name, label = line.replace(".jpg", "_aligned.jpg").split()
        split = name.partition("_")[0]
        rows[split].append(f"{name},{label}")
        folder = root / "DATASET" / split / label
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(rafdb / "Image/aligned" / name, folder)
    for split, lines in rows.items():
        (root / f"{split}_labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_rafdbs_mirror_is_read_and_stored_as_the_official_form(rafdb: Path, tmp_path: Path) -> None:
    official = open_source("rafdb", rafdb, CLASSES)
    mirror = mirrored(rafdb, tmp_path / "mirror")
    packed = zip_of(mirror, tmp_path / "mirror.zip", "archive/")
    for place in (mirror, packed):
        assert sorted(listed(open_source("rafdb", place, CLASSES))) == sorted(listed(official))
    target = tmp_path / "data/raw/mine"
    notes = run_import("rafdb", mirror, target).notes
    assert notes[:2] == (
        "train faces of the classes 1 to 7: [4, 4, 4, 0, 0, 0, 0]; "
        "RAF-DB has [1290, 281, 717, 4772, 1982, 705, 2524]",
        "test faces of the classes 1 to 7: [2, 2, 2, 0, 0, 0, 0]; "
        "RAF-DB has [329, 74, 160, 1185, 478, 162, 680]",
    )
    stored = open_source("rafdb", target, CLASSES)
    assert stored.table == "list_patition_label.txt"
    assert stored.pictures.names[0] == "aligned/test_00000_aligned.jpg"
    assert sorted(listed(stored)) == sorted(listed(official))


def test_rafdbs_official_counts_are_no_note(rafdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RAFDB_COUNTS", {"train": [4, 4, 4], "test": [2, 2, 2]})
    assert open_source("rafdb", rafdb, CLASSES).notes == []


def test_folders_and_rows_of_rafdbs_mirror_must_agree(rafdb: Path, tmp_path: Path) -> None:
    mirror = mirrored(rafdb, tmp_path / "mirror")
    data = mirror / "DATASET"
    (data / "train/2/train_00001_aligned.jpg").rename(data / "train/3/train_00001_aligned.jpg")
    (data / "test/1/test_00000_aligned.jpg").rename(data / "train/1/test_00000_aligned.jpg")
    edit_line(mirror / "train_labels.csv", 2, "train_00000_aligned.jpg")
    edit_line(mirror / "train_labels.csv", 4, "train_00 002_aligned.jpg,3")
    assert problems(open_source("rafdb", mirror, CLASSES)) == [
        "train_labels.csv:2: line 'train_00000.jpg' has 1 field",
        "DATASET/train/3/train_00001_aligned.jpg: folder 'train/3' is not what its row says, "
        "train/2",
        "train_labels.csv:4: line 'train_00 002_aligned.jpg 3' has 3 fields",
        "DATASET/train/1/test_00000_aligned.jpg: folder 'train/1' is not what its row says, test/1",
    ]
    (mirror / "test_labels.csv").unlink()
    with pytest.raises(UserError, match=r"no list_patition.* or train_labels\.csv and test_labels"):
        open_source("rafdb", mirror, CLASSES)


def test_csv_places_are_equal(csv_folder: Path, tmp_path: Path) -> None:
    plain = open_source("csv", csv_folder, CLASSES)
    assert listed(plain)[4] == ("train4.png", "train", 1, "train person 1")
    beside = tmp_path / "beside"
    shutil.copytree(csv_folder / "images", beside)
    shutil.copy(csv_folder / "labels.csv", beside)
    packed = tmp_path / "packed"
    packed.mkdir()
    shutil.copy(csv_folder / "labels.csv", packed)
    zip_of(csv_folder / "images", packed / "images.zip")
    whole = zip_of(csv_folder, tmp_path / "whole.zip", "faces/")
    for place in (beside, packed, whole, csv_folder / "labels.csv"):
        source = open_source("csv", place, CLASSES)
        assert listed(source) == listed(plain)
        np.testing.assert_array_equal(pixels(source), pixels(plain))


def test_csv_takes_other_cases_aliases_and_a_byte_order_mark(csv_folder: Path) -> None:
    (csv_folder / "labels.csv").write_bytes(
        b"\xef\xbb\xbfImage,Label, split ,age\r\ntrain0.png,happy,TRAIN,3\r\n"
        b"./images/test0.png,Angry,val,4\r\n"
    )
    source = open_source("csv", csv_folder, CLASSES)
    assert listed(source) == [
        ("train0.png", "train", 0, ""),
        ("images/test0.png", "validation", 2, ""),
    ]
    assert source.notes == ["columns that are not used: 'age'"]


def test_csv_faults_are_named_with_their_line(csv_folder: Path) -> None:
    table = csv_folder / "labels.csv"
    edit_line(table, 2, "train0.png,3,train,ann")
    edit_line(table, 3, "gone.png,sad,train,ann")
    edit_line(table, 4, "train2.png,angry,holdout,ann")
    edit_line(table, 5, "../../etc/passwd,happy,train,ann")
    edit_line(table, 6, f"{csv_folder}/images/train4.png,sad,train,ann")
    edit_line(table, 7, "train3.png,sad")
    edit_line(table, 8, "images/train2.png,sad,train,ann")  # in other words, but the same file
    edit_line(table, 9, "train1.png,sad,train,ann,7")
    edit_line(table, 10, 'train1.png,sad,train,"a')
    edit_line(table, 11, ",happy,train,ann")
    edit_line(table, 12, ",sad,train,ann")
    edit_line(table, 13, "train4.png,,train,ann")
    source = open_source("csv", csv_folder, CLASSES)
    out = "is absolute, or leads out of the folder"
    assert problems(source) == [
        "labels.csv:2: label '3' is not a label",
        "labels.csv:3: image 'gone.png' is missing",
        "labels.csv:4: split 'holdout' is not a split",
        f"labels.csv:5: image '../../etc/passwd' {out}",
        f"labels.csv:6: image '{csv_folder}/images/train4.png' {out}",
        "labels.csv:7: split is empty",
        "labels.csv:8: id 'images/train2.png' is there twice (first: labels.csv:4)",
        "labels.csv:9: line 'train1.png,sad,train,ann,7' has 5 fields, the first line 4",
        "labels.csv:10: line 'train1.png,sad,train,\"a' has a quote that does not close",
        "labels.csv:11: image is empty",
        "labels.csv:12: image is empty",
        "labels.csv:13: label is empty",
    ]
    assert source.doubtful == [f"images/train{n}.png" for n in (0, 2, 3, 4)]


def test_pictures_beside_a_zip_of_pictures_are_not_read(csv_folder: Path) -> None:
    zip_of(csv_folder / "images", csv_folder / "images.zip")
    (csv_folder / "images/train0.png").rename(csv_folder / "images/new.png")
    edit_line(csv_folder / "labels.csv", 2, "new.png,happy,train,ann")
    found = problems(open_source("csv", csv_folder, CLASSES))
    assert found == ["labels.csv:2: image 'new.png' is not in images.zip"]


def test_folders_and_their_zip_are_equal(class_folders: Path, tmp_path: Path) -> None:
    (class_folders / "train/happy/.DS_Store").write_bytes(b"junk")
    plain = open_source("folder", class_folders, CLASSES)
    assert listed(plain)[0] == ("test/angry/0.png", "test", 2, "")
    assert {split for _, split, _, _ in listed(plain)} == {"train", "validation", "test"}
    path = zip_of(class_folders, tmp_path / "f.zip", "kaggle/my faces/")
    with zipfile.ZipFile(path, "a") as written:
        written.writestr("kaggle/README.md", "hello")
    packed = open_source("folder", path, CLASSES)
    assert listed(packed) == listed(plain)
    np.testing.assert_array_equal(pixels(packed), pixels(plain))


def test_folder_faults_are_named_once_per_folder(class_folders: Path) -> None:
    (class_folders / "train/happy").rename(class_folders / "train/joy")
    (class_folders / "test").rename(class_folders / "holdout")
    (class_folders / "train/sad/notes.txt").write_text("hello")
    (class_folders / "stray.png").write_bytes(encoded(face_pixels(5)))
    source = open_source("folder", class_folders, CLASSES)
    assert sorted(problems(source)) == [
        "holdout/: split 'holdout' is not a split",
        "stray.png: file is not in a folder of split and class",
        "train/joy/: label 'joy' is not a label",
        "train/sad/notes.txt: file is not named like a picture",
    ]
    allowed = "happy, sad, angry; others once they are in dataset.class_names"
    assert allowed in [problem.allowed for problem in source.problems]


def test_zip_entries_that_escape_are_problems(class_folders: Path) -> None:
    path = zip_of(class_folders, class_folders.with_suffix(".zip"))
    names = ("../evil.png", "/etc/evil.png", "C:\\evil.png", "a/../../b.png")
    with zipfile.ZipFile(path, "a") as packed:
        for name in names:
            packed.writestr(name, b"")
    source = open_source("folder", path, CLASSES)
    assert problems(source) == [
        f"{path}: entry {name!r} leads out of the archive" for name in names
    ]
    assert not set(names) & set(source.pictures.names)


def test_a_damaged_entry_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("train/sad/1.png", encoded(face_pixels(1)))
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    source = open_source("folder", path, CLASSES)
    assert source.read("train/sad/1.png") is None
    assert source.problems[0].problem.startswith("cannot be read in the archive")
    monkeypatch.setattr(archive, "MAXIMUM_FILE_BYTES", 99)
    assert source.read("train/sad/1.png") is None
    assert source.problems[1].problem == "is far too large for a picture"


def test_places_without_faces_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("faces.zip", "notes"):
        (tmp_path / name).write_bytes(b"this is no zip")
    os.mkfifo(tmp_path / "pipe.zip")
    places = {"nowhere": "does not exist", "empty": "is empty", "faces.zip": "is not a zip file"}
    places |= dict.fromkeys(("notes", "pipe.zip"), "is neither a folder nor a zip or tar file")
    for place, message in places.items():
        with pytest.raises(UserError, match=message):
            open_source("folder", tmp_path / place, CLASSES)


def test_a_csv_with_other_columns_is_a_user_error(csv_folder: Path) -> None:
    for header, message in (
        ("image;label;split", r"'image' is missing; .* 'image;label;split', expected"),
        ("image,label", r"column 'split' is missing; .*--test-fraction 0\.2 draws"),
        ("image,Label,split,label", "column 'label' is there 2 times"),
    ):
        edit_line(csv_folder / "labels.csv", 1, header)
        with pytest.raises(UserError, match=message):
            open_source("csv", csv_folder, CLASSES)


def test_names_and_numbers_of_classes() -> None:
    for value, class_names, first, position in (
        ("0", ("2", "0", "1"), 0, 1),  # a name wins over a number
        ("9" * 5000, ("a", "b"), 1, None),  # int() refuses it
        ("-1", ("a", "b"), 0, None),
        ("²", ("a", "b", "c"), 0, None),
        (" A ", ("a", "b"), 0, 0),
        ("B", ("a", "b", "B"), 0, 2),
        ("7", tuple("abcdefg"), 1, 6),
        ("0", tuple("abcdefg"), 1, None),
        ("angry", RAFDB_CLASSES, None, 5),
        ("Surprise", ("Happy", "surprised"), None, 1),
        ("happy", ("happy", "happiness"), None, 0),
        ("joy", RAFDB_CLASSES, None, None),
    ):
        assert class_position(value, class_names, first) == position, value


def test_names_of_splits() -> None:
    names = ("Train", "train_set", "Training", " valid ", "VAL", "val-set", "testing", "tests")
    splits = ["train"] * 3 + ["validation"] * 3 + ["test", None]
    assert list(map(split_named, names)) == splits
