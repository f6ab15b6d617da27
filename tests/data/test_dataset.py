"""One form for every source; the validation part is fair, seeded, and never shares a person."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.dataset import hold_out, without_duplicates
from fsr_fer.data.listing import Face
from fsr_fer.data.manifest import pixel_sha256, read_manifest
from tests.data.raw_faces import CLASSES, build, encoded, face_pixels


def test_rows_hold_the_faces_they_name(csv_folder: Path, tmp_path: Path) -> None:
    directory = tmp_path / "dataset"
    manifest = build("csv", csv_folder, directory)
    images = np.load(directory / "images.npy", allow_pickle=False)
    assert images.dtype == np.uint8
    assert images.shape == (18, 100, 100, 3)
    for row, identity in enumerate(manifest.ids):  # such as test7.png
        number = int(re.sub(r"\D", "", identity))
        expected = face_pixels(number + 100 * identity.startswith("test"))
        np.testing.assert_array_equal(images[row], expected)
        assert manifest.labels[row] == number % len(CLASSES)
    assert (directory / "manifest.csv").read_text().splitlines()[:2] == [
        "id,source,split,label,subject,sha256",
        f"train0.png,images/train0.png,train,happy,train person 0,{pixel_sha256(images[0])}",
    ]
    with pytest.raises(UserError, match=r"labels \['angry', 'sad'\] are none of \['happy'\]"):
        read_manifest(directory / "manifest.csv", ("happy",))


def test_train_comes_before_test_in_the_order_of_the_source(rafdb: Path, tmp_path: Path) -> None:
    manifest = build("synthetic", rafdb, tmp_path / "dataset")  # the table has test first
    expected = [f"train_{n:05d}.jpg" for n in range(12)] + [f"test_{n:05d}.jpg" for n in range(6)]
    assert list(manifest.ids) == expected
    assert manifest.splits[12:] == ("test",) * 6
    assert set(manifest.splits[:12]) == {"train", "validation"}


def test_a_validation_split_of_the_source_is_kept(class_folders: Path, tmp_path: Path) -> None:
    manifest = build("folder", class_folders, tmp_path / "dataset")
    held = [manifest.ids[row] for row in manifest.rows("validation")]
    assert held == ["val/angry/0.png", "val/happy/0.png", "val/sad/0.png"]


def test_missing_raw_faces_name_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist; .*fsr-fer import.*dvc pull"):
        build("csv", tmp_path / "raw", tmp_path / "dataset")


def test_broken_faces_are_listed_and_an_earlier_dataset_stays(
    csv_folder: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "out/dataset"
    build("csv", csv_folder, directory)
    before = (directory / "images.npy").read_bytes()
    for name in ("train1.png", "test1.png"):
        (csv_folder / "images" / name).write_bytes(b"no picture")
    for duplicates in ("refuse", "drop"):
        with pytest.raises(UserError, match=r"cannot be used: 2 problems, listed in .*train1\.png"):
            build("csv", csv_folder, directory, duplicates=duplicates)
    listed = (tmp_path / "out/dataset-problems.csv").read_text().splitlines()
    files = [line.split(",")[0] for line in listed]
    assert files == ["file", "images/train1.png", "images/test1.png"]
    assert (directory / "images.npy").read_bytes() == before
    assert sorted(file.name for file in directory.iterdir()) == ["images.npy", "manifest.csv"]


def test_of_fewer_train_faces_each_class_keeps_its_share(csv_folder: Path, tmp_path: Path) -> None:
    whole = build("csv", csv_folder, tmp_path / "whole")  # 12 train faces, 4 of each class
    three = build("csv", csv_folder, tmp_path / "three", train_share=0.75)
    two = build("csv", csv_folder, tmp_path / "two", train_share=0.01)
    rows = [m.rows("train", "validation") for m in (three, two)]
    assert np.bincount(three.labels[rows[0]]).tolist() == [3, 3, 3]
    assert np.bincount(two.labels[rows[1]]).tolist() == [2, 2, 2]
    assert set(two.ids) < set(three.ids) < set(whole.ids)
    assert len(whole.rows("test")) == len(three.rows("test")) == len(two.rows("test")) == 6
    left_out = json.loads((tmp_path / "two/left_out.json").read_text())
    assert left_out == {"beyond dataset.train_share": 6}
    build("csv", csv_folder, tmp_path / "two")
    assert not (tmp_path / "two/left_out.json").exists()
    with pytest.raises(UserError, match=r"18 problems, .* label 'happy' is not a label"):
        build("csv", csv_folder, tmp_path / "none", train_share=0.5, class_names=("a", "b"))


def people(labels: Sequence[int], subjects: Sequence[str]) -> list[Face]:
    pairs = enumerate(zip(labels, subjects, strict=True))
    return [Face(str(n), str(n), "train", int(label), person) for n, (label, person) in pairs]


def test_each_class_gives_its_share() -> None:
    for counts, subjects, fraction, expected in (
        ((1000, 100, 10), [""] * 1110, 0.15, [150, 15, 2]),
        # A class gives at least one face and keeps one.
        ((50, 2, 1), [""] * 53, 0.1, [5, 1, 0]),
        # Nobody takes a whole class along.
        ((20, 4), [*map(str, range(20)), *["the only one who is sad"] * 4], 0.25, [5, 0]),
        # A class of few people gives one of them.
        ((50, 40), [*map(str, range(50)), *["ann"] * 20, *["bob"] * 20], 0.1, [5, 20]),
        # Faces of unknown people may be held out one by one.
        ((40,), ["ann"] * 30 + [""] * 10, 0.2, [8]),
    ):
        labels = np.repeat(range(len(counts)), counts)
        faces, pixels = people(labels, subjects), list(map(str, range(len(labels))))
        first, again, other = (hold_out(faces, fraction, seed, pixels) for seed in (1, 1, 2))
        assert np.bincount(labels[first], minlength=len(counts)).tolist() == expected
        assert (np.diff(first) > 0).all()
        assert first.tolist() == again.tolist() != other.tolist()


def test_equal_pictures_are_held_out_together() -> None:
    pairs = [str(row // 2) for row in range(20)]
    held = hold_out(people([0] * 20, [""] * 20), 0.2, 1, pairs)
    assert len(held) == 4
    assert set(held) == {row ^ 1 for row in held}


@pytest.mark.parametrize("seed", range(3))
def test_with_subjects_whole_people_are_held_out_near_each_share(seed: int) -> None:
    generator = np.random.default_rng(seed)
    persons = np.sort(generator.integers(0, 150, 2000) ** 2 // 150)  # few with many faces
    labels = generator.choice(3, 2000, p=[0.7, 0.25, 0.05])
    held = hold_out(people(labels, [f"person {person}" for person in persons]), 0.2, seed, ())
    assert not set(persons[held]) & set(np.delete(persons, held))
    share = np.bincount(labels[held], minlength=3) / np.bincount(labels)
    assert np.abs(share - 0.2).max() < 0.05


def test_duplicates() -> None:
    splits = [*["train"] * 4, "validation", "train", "test", "test", "train", "test"]
    labels = [0, 0, 0, 1, 0, 1, 1, 1, 2, 0]
    pairs = enumerate(zip(splits, labels, strict=True))
    faces = [Face(str(n), str(n), split, label) for n, (split, label) in pairs]
    # a: train and validation; b: twice in train; c: train, test, test; d: two labels
    assert without_duplicates(faces, list("abbzacccdd")) == (
        [1, 3, 4, 6],
        {
            "equal under two labels": 2,
            "equal to one in the same part": 2,
            "equal to one in a later part": 2,
        },
    )


def test_several_sources_make_one_dataset(
    csv_folder: Path, class_folders: Path, tmp_path: Path
) -> None:
    alone = {
        name: build(name, place, tmp_path / name)
        for name, place in (("folder", class_folders), ("csv", csv_folder))
    }
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/csv").symlink_to(csv_folder)
    (tmp_path / "raw/folder").symlink_to(class_folders)
    together = build("several", tmp_path / "raw", tmp_path / "both")
    for name, manifest in alone.items():
        own = [row for row, identity in enumerate(together.ids) if identity.startswith(f"{name}/")]
        kept = {together.ids[row].removeprefix(f"{name}/"): together.splits[row] for row in own}
        assert kept == dict(zip(manifest.ids, manifest.splits, strict=True))
        assert {"train", "validation", "test"} == set(kept.values())
    splits = list(together.splits)
    assert splits == sorted(splits, key=["train", "validation", "test"].index)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="none has no folder of a source: synthetic, rafdb"):
        build("several", tmp_path / "none", tmp_path / "nothing")
    (tmp_path / "raw/images.zip").touch()  # of a time when the profile had one source
    with pytest.raises(UserError, match=r"images\.zip is of an import of one source, which data"):
        build("several", tmp_path / "raw", tmp_path / "nothing")


@pytest.mark.parametrize(("first", "own_split"), [(0, False), (1, True), (3, True)])
def test_who_is_in_two_sources_is_held_out_in_both(
    first: int, own_split: bool, csv_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/csv").symlink_to(csv_folder)
    for number in range(50, 62):  # four people, of whom some are in the table too
        split = "val" if own_split and number < 53 else "train"  # the first of the four
        folder = tmp_path / f"raw/folder/{split}/{CLASSES[number % 3]}"
        folder /= f"train person {first + (number - 50) // 3}"
        folder.mkdir(parents=True)
        (folder / "face.png").write_bytes(encoded(face_pixels(number)))
    build("several", tmp_path / "raw", tmp_path / "both")
    splits: dict[str, set[str]] = {}
    for line in (tmp_path / "both/manifest.csv").read_text().splitlines()[1:]:
        _, _, split, _, person, _ = line.split(",")
        splits.setdefault(person, set()).add(split)
    assert all(len(found) == 1 for found in splits.values()), splits
