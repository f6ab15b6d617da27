"""What people's data look like: read right, or a problem that names it, never silently wrong."""

import os
import shutil
import tarfile
import tempfile
import unicodedata
import zipfile
from functools import partial
from pathlib import Path

import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.archive import MAXIMUM_FILE_BYTES, UnreadableFileError
from fsr_fer.data.settings import SourceName
from fsr_fer.data.sources import open_source
from tests.data.raw_faces import CLASSES, edit_line, encoded, face_pixels, run_import, zip_of


def found(name: SourceName, path: Path) -> list[str]:
    return list(map(str, open_source(name, path, CLASSES).problems))


def test_one_picture_has_one_label_and_is_counted_if_it_is_there_twice(
    csv_folder: Path, tmp_path: Path
) -> None:
    images = csv_folder / "images"
    shutil.copy(images / "train0.png", images / "train3.png")  # both happy, in train
    notes = run_import("csv", csv_folder, tmp_path / "a/raw").notes
    assert "pictures of the same pixels as another one: 1" in notes
    shutil.copy(images / "train0.png", images / "train4.png")  # sad
    with pytest.raises(UserError, match=r"train4\.png: label 'sad' is the label of the same pict"):
        run_import("csv", csv_folder, tmp_path / "b/raw")


def test_links_to_folders_are_followed_but_in_no_circle(
    class_folders: Path, tmp_path: Path
) -> None:
    faces = len(open_source("folder", class_folders, CLASSES).faces)
    shutil.move(class_folders / "train/sad", tmp_path / "elsewhere")
    (class_folders / "train/sad").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(class_folders)
    source = open_source("folder", class_folders, CLASSES)
    assert [face.file for face in source.faces if face.file.startswith("train/sad/")] == [
        f"train/sad/{number}.png" for number in range(3)
    ]
    shutil.rmtree(class_folders / "test")
    (tmp_path / "elsewhere/back").unlink()
    assert len(open_source("folder", class_folders, CLASSES).faces) == faces - 6


def test_zips_of_other_tools(tmp_path: Path, class_folders: Path) -> None:
    plain = open_source("folder", class_folders, CLASSES)
    for form in ("./{}", "faces\\{}"):
        path = tmp_path / "faces.zip"
        with zipfile.ZipFile(path, "w") as packed:
            for name in plain.pictures.names:
                written = form.format(name.replace("/", "\\") if "\\" in form else name)
                packed.writestr(written, plain.pictures.read(name))
            packed.writestr(form.format("train\\happy\\nobody\\"), b"")  # a folder
        source = open_source("folder", path, CLASSES)
        assert source.problems == []
        assert [face.id for face in source.faces] == [face.id for face in plain.faces]
    with pytest.warns(match="Duplicate name"), zipfile.ZipFile(path, "a") as packed:
        packed.writestr(packed.namelist()[0], encoded(face_pixels(7)))
    (problem,) = found("folder", path)
    assert problem.endswith("is in the archive twice")


def test_names_in_zips_are_utf_8_though_not_marked_so(tmp_path: Path) -> None:
    path = tmp_path / "faces"  # a zip by its content
    with zipfile.ZipFile(path, "w") as packed:
        for folder in ("col@@re/1", "col#re/2", "colère/3", "col├¿re/4"):
            packed.writestr(f"train/{folder}.png", b"whole")
    # The first two as Info-ZIP and as Windows write them, without the flag for UTF-8.
    content = path.read_bytes().replace(b"@@", "è".encode()).replace(b"#", "è".encode("cp437"))
    path.write_bytes(content)
    files = open_source("folder", path, ("Colère", "joie")).pictures
    # The last one is marked, and really called so.
    folders = ("colère/1", "colère/2", "colère/3", "col├¿re/4")
    assert set(files.names) == {f"train/{folder}.png" for folder in folders}
    assert [files.read(name) for name in files.names] == [b"whole"] * 4


def test_links_in_a_tar(tmp_path: Path, class_folders: Path) -> None:
    """To a file of it they are read; what would be lost is named, not left out in silence."""
    faces = len(open_source("folder", class_folders, CLASSES).faces)
    happy = class_folders / "train/happy"
    for name, to in (("a", "0.png"), ("b", "/gone.png"), (".venv", "/usr/bin/python")):
        (happy / f"{name}.png").symlink_to(to)
    (class_folders / "more").symlink_to("train")
    path = tmp_path / "faces.TAR"
    with tarfile.open(path, "w") as packed:
        packed.add(class_folders, ".")
        packed.add(happy / "1.png", "./train/happy/1.png")
        packed.add(happy / "1.png", "train/happy/2.png")
    assert found("folder", path) == [
        f"{path}: entry 'train/happy/2.png' is in the archive twice",
        f"{path}: entry './more' links to the folder train; pack its files",
        f"{path}: entry './train/happy/b.png' links to /gone.png, which is not in the tar",
        f"{path}: entry './train/happy/1.png' is in the archive twice",
    ]
    assert len(open_source("folder", path, CLASSES).faces) == faces + 1


def test_an_encrypted_zip_is_said_to_be_one(tmp_path: Path, csv_folder: Path) -> None:
    for name in ("labels.csv", "images.zip"):
        (csv_folder / name).touch()
        path = zip_of(csv_folder, tmp_path / "faces.zip")
        plain, encrypted = (b"PK\1\2\x14\3\x14\0" + flag for flag in (b"\0", b"\1"))
        path.write_bytes(path.read_bytes().replace(plain, encrypted))
        message = f"{name} cannot be read in the archive: it is encrypted; unpack it with its pass"
        with pytest.raises(UserError, match=message):
            open_source("csv", path, CLASSES)


def test_a_full_disk_of_temporary_files_is_not_the_archives_fault(
    tmp_path: Path, csv_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zip_of(csv_folder / "images", csv_folder / "images.zip")
    nested = zip_of(csv_folder, tmp_path / "faces.zip")
    with tarfile.open(tmp_path / "faces.tar", "w") as packed:
        packed.add(csv_folder, ".")
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "w+b"))
    message = f"^the disk is full: {tempfile.gettempdir()} could not be written"
    for path in (nested, tmp_path / "faces.tar"):
        with pytest.raises(UserError, match=message):
            open_source("csv", path, CLASSES)


def test_files_that_systems_leave_and_names_that_are_no_text(class_folders: Path) -> None:
    for name in ("Thumbs.DB", "Desktop.ini", "@eaDir", "$RECYCLE.BIN", ".DS_Store"):
        (class_folders / "train/happy" / name).write_bytes(b"junk")
    assert found("folder", class_folders) == []
    latin = os.path.join(os.fsencode(class_folders / "train/happy"), b"\xe9.png")
    with open(latin, "wb") as file:
        file.write(encoded(face_pixels(8)))
    expected = f"{class_folders}: entry 'train/happy/\\\\xe9.png' is no name in UTF-8"
    assert found("folder", class_folders) == [expected]
    path = class_folders.with_suffix(".tar")
    with tarfile.open(path, "w") as packed:
        packed.add(class_folders, ".")
    expected = f"{path}: entry './train/happy/\\\\xe9.png' is no name in UTF-8"
    assert found("folder", path) == [expected]


def test_a_problem_with_any_file_is_one_line(class_folders: Path) -> None:
    picture = next((class_folders / "train").rglob("*.png"))
    shutil.copy(picture, picture.with_name("a\nb\x1b[31m.png"))
    (said,) = found("folder", class_folders)
    assert "/a\\nb\\x1b[31m.png: image '" in said
    assert said.isprintable()


def test_a_name_is_found_in_either_unicode_form(csv_folder: Path, tmp_path: Path) -> None:
    composed = "\u00e9.png"
    decomposed = unicodedata.normalize("NFD", composed)
    (csv_folder / "images/train0.png").rename(csv_folder / "images" / decomposed)
    edit_line(csv_folder / "labels.csv", 2, f"{composed},happy,train,ann")
    assert found("csv", csv_folder) == []
    shutil.copytree(csv_folder, tmp_path / "around" / decomposed)
    assert found("csv", tmp_path / "around") == []


def test_a_person_is_one_in_either_unicode_form(csv_folder: Path) -> None:
    for line, form in ((2, "NFC"), (14, "NFD")):
        cells = (csv_folder / "labels.csv").read_text().splitlines()[line - 1].split(",")
        cells[3] = unicodedata.normalize(form, "Zo\u00eb")
        edit_line(csv_folder / "labels.csv", line, ",".join(cells))
    assert {face.subject for face in open_source("csv", csv_folder, CLASSES).faces} >= {"Zo\u00eb"}
    subjects = [face.subject for face in open_source("csv", csv_folder, CLASSES).faces]
    assert subjects.count("Zo\u00eb") == 2


def test_two_tables_of_equal_rank_are_not_mixed(csv_folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(csv_folder, tmp_path / "both" / name)
    with pytest.raises(UserError, match=r"both holds a/labels\.csv and b/labels\.csv; name the"):
        open_source("csv", tmp_path / "both", CLASSES)


def test_folders_may_be_deep_and_a_list_may_have_no_place(class_folders: Path) -> None:
    deep = class_folders / "train/sad"
    for _ in range(1100):
        deep = deep / "d"
        deep.mkdir()
    source = open_source("folder", class_folders, CLASSES)
    os.removedirs(deep)  # shutil's way of deleting does not reach it
    source.problem("a", "file", "", "is odd", "another")
    with pytest.raises(UserError, match=r"1 problem, not listed \(.*\): a: file .*is odd"):
        source.raise_problems(class_folders / "train/sad/0.png/list.csv", "nothing was imported")


def test_tables_as_programs_write_them(csv_folder: Path) -> None:
    lines = (csv_folder / "labels.csv").read_text().splitlines()
    rows = [", ".join(f'"{cell}"' for cell in line.split(",")) for line in lines[1:]]
    rows[0] = rows[0].replace("train person 0", "NaN")
    text = "\r\n".join(["sep=,", 'image, "label", split, subject', *rows, ",,,", ""])
    (csv_folder / "labels.csv").write_bytes(text.encode())
    source = open_source("csv", csv_folder, CLASSES)
    assert source.problems == []
    assert len(source.faces) == 18
    assert [face.subject for face in source.faces[:2]] == ["", "train person 0"]


def test_numbers_are_classes_only_where_somebody_says_from_what_they_count(
    class_folders: Path, csv_folder: Path, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        for number, name in enumerate(("angry", "happy", "sad")):  # another order than ours
            (class_folders / split / name).rename(class_folders / split / str(number))
    first = open_source("folder", class_folders, CLASSES).problems[0]
    assert str(first) == "test/0/: label '0' is not a label"
    assert first.allowed == "happy, sad, angry; numbers with --numbered-from"
    target = tmp_path / "a/raw"
    notes = run_import("folder", class_folders, target, numbered_from=0).notes
    assert "0 = happy, 1 = sad, 2 = angry" in notes
    stored = open_source("folder", target, CLASSES)
    assert {face.id.split("/")[1] for face in stored.faces} == set(CLASSES)
    table = csv_folder / "labels.csv"
    text = table.read_text()
    for number, name in enumerate(CLASSES, start=1):
        text = text.replace(f",{name},", f",{number},")
    table.write_text(text)
    assert len(found("csv", csv_folder)) == 18
    run_import("csv", csv_folder, tmp_path / "b/raw", numbered_from=1)
    labels = [face.label for face in open_source("csv", tmp_path / "b/raw", CLASSES).faces]
    assert labels == [number % 3 for number in range(18)]
    table.write_text(text.replace(",1,", ",happy,").replace(",2,", ",sad,"))
    assert open_source("csv", csv_folder, ("happy", "sad", "3")).problems == []  # a class called 3
    table.write_text(text.replace("train1.png,2,", "train1.png,sad,"))
    with pytest.raises(UserError, match=r"labels\.csv:3: label 'sad' is a name where others are"):
        run_import("csv", csv_folder, tmp_path / "c/raw", numbered_from=1)
    table.write_text(text.replace("train1.png,2,", f"train1.png,{'9' * 5000},"))
    with pytest.raises(UserError, match="is not a label"):
        run_import("csv", csv_folder, tmp_path / "c/raw", numbered_from=1)


def test_faces_without_splits_get_a_test_split(
    class_folders: Path, csv_folder: Path, tmp_path: Path
) -> None:
    table = csv_folder / "labels.csv"
    table.write_text("\n".join(",".join(x.split(",")[:2]) for x in table.read_text().split("\n")))
    run_import("csv", csv_folder, tmp_path / "a/raw", test_fraction=0.34)
    faces = open_source("csv", tmp_path / "a/raw", CLASSES).faces
    assert sorted(face.label for face in faces if face.split == "test") == [0, 0, 1, 1, 2, 2]
    folders = class_folders / "train"
    text = table.read_text().replace("\n", ",ann\n")
    table.write_text(text.replace("label,ann", "label,subject"))
    with pytest.raises(UserError, match=r"'test' has no faces \(.* each person in one of them\)"):
        run_import("csv", csv_folder, tmp_path / "c/raw", test_fraction=0.34)
    with pytest.raises(UserError, match=r"no folder called train or test; .*--test-fraction 0\.2"):
        run_import("folder", folders, tmp_path / "b/raw")
    for name in CLASSES:
        shutil.copy(folders / name / "0.png", folders / name / "3.png")
    run_import("folder", folders, tmp_path / "b/raw", test_fraction=0.5)
    faces = open_source("folder", tmp_path / "b/raw", CLASSES).faces
    split = {face.id.split("/", 1)[1]: face.split for face in faces}
    assert sorted(split.values()) == ["test"] * 6 + ["train"] * 6
    assert all(split[f"{name}/0.png"] == split[f"{name}/3.png"] for name in CLASSES)


def test_a_train_split_alone_is_told_how_to_get_a_test_split(
    class_folders: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"has splits, the folders test, train, val; leave out"):
        run_import("folder", class_folders, tmp_path / "a/raw", test_fraction=0.2)
    shutil.copytree(class_folders, tmp_path / "wrapped/test")  # a name of a split, and none
    run_import("folder", tmp_path / "wrapped", tmp_path / "c/raw")
    for split in ("test", "val"):
        shutil.rmtree(class_folders / split)
    message = r"split 'test' has no faces .*; --test-fraction 0\.2 draws a test split\)"
    with pytest.raises(UserError, match=message):
        run_import("folder", class_folders, tmp_path / "a/raw")
    for picture in sorted(class_folders.rglob("*.png")):  # a folder for each person
        picture.parent.joinpath(picture.stem).mkdir()
        picture.rename(picture.parent / picture.stem / "face.png")
    with pytest.raises(UserError, match=message):
        run_import("folder", class_folders, tmp_path / "a/raw")
    summary = run_import("folder", class_folders, tmp_path / "a/raw", test_fraction=0.34)
    assert (summary.subjects, summary.faces) == (3, {"train": 6, "test": 3})


def test_who_is_on_a_picture_is_found_in_its_name(
    class_folders: Path, csv_folder: Path, tmp_path: Path
) -> None:
    folders = class_folders / "train"
    for picture in folders.rglob("*.png"):
        picture.rename(picture.with_name(f"S{picture.stem}_00{picture.stem}.png"))
    options = {"test_fraction": 0.34, "subject_from": "([^_]+)_"}
    summary = run_import("folder", folders, tmp_path / "a/raw", **options)
    assert (summary.subjects, summary.faces) == (3, {"train": 6, "test": 3})
    stored = open_source("folder", tmp_path / "a/raw", CLASSES)
    assert {face.subject for face in stored.faces} == {"S0", "S1", "S2"}
    assert len({face.subject for face in stored.faces if face.split == "test"}) == 1
    for pattern, message in (
        ("(", r"--subject-from '\(': missing \)"),
        ("[^_]+", "expected one group"),
        (r"S(\d+)_001", "6 problems"),
        ("(x)?", "9 problems"),
    ):
        options["subject_from"] = pattern
        with pytest.raises(UserError, match=message):
            run_import("folder", folders, tmp_path / "b/raw", **options)
    with pytest.raises(UserError, match=r"labels\.csv says who is who; leave out"):
        run_import("csv", csv_folder, tmp_path / "b/raw", subject_from="(.)")


def test_what_cannot_be_read_as_a_file_is_no_picture(class_folders: Path, csv_folder: Path) -> None:
    """Reading a pipe or a device would never end."""
    folder = class_folders / "train" / CLASSES[0]
    os.mkfifo(folder / "pipe.png")
    (folder / "zeros.png").symlink_to("/dev/zero")
    (folder / "gone.png").symlink_to("nowhere")
    with open(folder / "huge.png", "wb") as file:
        file.truncate(MAXIMUM_FILE_BYTES + 1)
    source = open_source("folder", class_folders, CLASSES)
    for name, message in (
        ("pipe", "is no regular file"),
        ("zeros", "is no regular file"),
        ("gone", "cannot be read: No such file or directory"),
        ("huge", "is far too large for a picture"),
    ):
        with pytest.raises(UnreadableFileError, match=message):
            source.pictures.read(f"train/{CLASSES[0]}/{name}.png")
    os.mkfifo(csv_folder / "images.zip")
    with pytest.raises(UserError, match=r"images\.zip is no regular file"):
        open_source("csv", csv_folder, CLASSES)
