"""One form for every source; the validation part is fair, seeded, and never shares a person."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.dataset import build_dataset, hold_out
from fsr_fer.data.listing import SourceName
from fsr_fer.data.manifest import Manifest, pixel_sha256, read_manifest
from tests import ROOT
from tests.data.raw_faces import CLASSES, face_pixels

OPEN_FACES = ROOT.parent / "shared/data/open-faces"


def build(name: SourceName, root: Path, directory: Path, **options: object) -> Manifest:
    values = {"class_names": CLASSES, "validation_fraction": 0.25, "seed": 5, **options}
    build_dataset(name, root, directory, **values)  # type: ignore[arg-type]
    return read_manifest(directory / "manifest.csv", values["class_names"])  # type: ignore[arg-type]


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


def test_a_manifest_that_does_not_fit_is_one_line(csv_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    with pytest.raises(FileNotFoundError, match=r"manifest\.csv"):
        read_manifest(path, CLASSES)
    build("csv", csv_folder, tmp_path)
    with pytest.raises(UserError, match=r"labels \['angry', 'sad'\] are none of \['happy'\]"):
        read_manifest(path, ("happy",))


def test_train_comes_before_test_in_the_order_of_the_source(rafdb: Path, tmp_path: Path) -> None:
    manifest = build("synthetic", rafdb, tmp_path / "dataset")  # the table has test first
    expected = [f"train_{n:05d}.jpg" for n in range(12)] + [f"test_{n:05d}.jpg" for n in range(6)]
    assert list(manifest.ids) == expected
    assert manifest.splits[12:] == ("test",) * 6
    assert set(manifest.splits[:12]) == {"train", "validation"}


def test_a_validation_split_of_the_source_is_kept(class_folders: Path, tmp_path: Path) -> None:
    manifest = build("folder", class_folders, tmp_path / "dataset")
    held = [manifest.ids[row] for row in manifest.rows("validation")]
    with pytest.raises(ValueError, match=r"no such split: \['val'\]"):
        manifest.rows("val")
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
    with pytest.raises(UserError, match=r"cannot be used: 2 problems, listed in .*train1\.png"):
        build("csv", csv_folder, directory)
    listed = (tmp_path / "out/dataset-problems.csv").read_text().splitlines()
    files = [line.split(",")[0] for line in listed]
    assert files == ["file", "images/train1.png", "images/test1.png"]
    assert (directory / "images.npy").read_bytes() == before
    assert sorted(file.name for file in directory.iterdir()) == ["images.npy", "manifest.csv"]


LABELS = np.repeat([0, 1, 2], [1000, 100, 10])
NOBODY = [""] * len(LABELS)


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


def test_without_subjects_each_class_gives_its_share() -> None:
    held = hold_out(LABELS, NOBODY, 0.15, seed=1)
    assert np.bincount(LABELS[held]).tolist() == [150, 15, 2]
    assert (np.diff(held) > 0).all()
    np.testing.assert_array_equal(held, hold_out(LABELS, NOBODY, 0.15, seed=1))
    assert held.tolist() != hold_out(LABELS, NOBODY, 0.15, seed=2).tolist()


def test_a_class_gives_at_least_one_face_and_keeps_one() -> None:
    labels = np.array([0] * 50 + [1] * 2 + [2])
    held = hold_out(labels, [""] * 53, 0.1, seed=0)
    assert np.bincount(labels[held], minlength=3).tolist() == [5, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_with_subjects_whole_people_are_held_out_near_each_share(seed: int) -> None:
    generator = np.random.default_rng(seed)
    people = np.sort(generator.integers(0, 150, 2000) ** 2 // 150)  # few with many faces
    labels = generator.choice(3, 2000, p=[0.7, 0.25, 0.05])
    subjects = [f"person {person}" for person in people]
    held = hold_out(labels, subjects, 0.2, seed)
    assert not set(people[held]) & set(np.delete(people, held))
    share = np.bincount(labels[held], minlength=3) / np.bincount(labels)
    assert np.abs(share - 0.2).max() < 0.05


def test_faces_of_unknown_people_may_be_held_out_one_by_one() -> None:
    labels = np.zeros(40, np.int64)
    subjects = ["ann"] * 30 + [""] * 10
    held = hold_out(labels, subjects, 0.2, seed=3)
    assert len(held) == 8
    assert held.min() >= 30


def test_nobody_takes_a_whole_class_along() -> None:
    labels = np.array([0] * 20 + [1] * 4)
    subjects = [f"person {row}" for row in range(20)] + ["the only one who is sad"] * 4
    held = hold_out(labels, subjects, 0.25, seed=0)
    assert np.bincount(labels[held], minlength=2).tolist() == [5, 0]


def test_real_faces(tmp_path: Path) -> None:
    if not OPEN_FACES.is_dir():
        pytest.skip("the open faces are not on this machine")
    names = ("neutral", "happiness", "surprise", "anger", "sadness")
    manifest = build("csv", OPEN_FACES, tmp_path / "d", class_names=names, validation_fraction=0.1)
    assert len(manifest.ids) == 4721
    counts = np.bincount(manifest.labels[manifest.rows("validation")])
    assert counts.tolist() == [156, 153, 23, 16, 7]


def test_several_sources_make_one_dataset(
    csv_folder: Path, class_folders: Path, tmp_path: Path
) -> None:
    alone = {
        name: build(name, place, tmp_path / name)  # type: ignore[arg-type]
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
