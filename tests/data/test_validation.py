"""Each expectation lets good data pass and names what breaks it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.dataset import build_dataset
from fsr_fer.data.settings import ValidateSettings
from fsr_fer.data.validation.checks import Offender, Validation, contrast, validate_dataset
from fsr_fer.data.validation.report import raise_if_failed, write_report, write_verdict
from tests.data.raw_faces import CLASSES

SETTINGS = ValidateSettings(minimum_per_class=1, minimum_contrast=4.0, train_faces=0, test_faces=0)
EVERY = ["columns", "labels", "splits", "ids", "shape", "dtype", "pixels", "contrast", "duplicates"]
EVERY += ["labels_of_pictures"]


@pytest.fixture
def dataset(csv_folder: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "dataset"
    build_dataset(
        "csv", csv_folder, directory, class_names=CLASSES, validation_fraction=0.25, seed=5
    )
    return directory


def paint(dataset: Path, faces: Mapping[int, object]) -> None:
    """Change pixels of some rows of images.npy; the manifest keeps saying what it said."""
    images = np.load(dataset / "images.npy")
    for row, pixels in faces.items():
        images[row] = pixels
    np.save(dataset / "images.npy", images)


def edit_manifest(dataset: Path, pattern: str, replacement: str) -> None:
    path = dataset / "manifest.csv"
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert count, "the test changes nothing"
    path.write_text(text)


def validate(dataset: Path, settings: ValidateSettings = SETTINGS) -> Validation:
    return validate_dataset(dataset, settings=settings, class_names=CLASSES)


def failures(validation: Validation) -> dict[str, list[Offender]]:
    return {check.name: check.offenders for check in validation.failed}


def test_good_faces_pass_every_check(dataset: Path, tmp_path: Path) -> None:
    exact = replace(SETTINGS, train_faces=12, test_faces=6)
    validation = validate(dataset, exact)
    assert failures(validation) == {}
    write_verdict(validation, tmp_path / "verdict.json")
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    names = [*EVERY, "subjects", "faces_per_class", "train_faces", "test_faces"]
    assert verdict.pop("lowest_contrast") > 4
    assert verdict == {
        "passed": True,
        "checks": dict.fromkeys(names, True),
        "faces": {"train": 9, "validation": 3, "test": 6},
        "subjects": 6,
        "smallest_class": 1,
    }
    assert [check.name for check in validation.checks] == names
    assert validation.counts.to_numpy().tolist() == [[3, 1, 2]] * 3


def test_persons_are_checked_only_where_they_are_known(dataset: Path) -> None:
    edit_manifest(dataset, r",(train|test) person \d,", ",,")
    assert "subjects" not in [check.name for check in validate(dataset).checks]


@pytest.mark.parametrize(
    ("pattern", "replacement", "expected"),
    [
        ("^(train1.png.*),sad,", r"\1,glad,", {"labels": (1, "train1.png", "glad")}),
        (",test,happy,test person 0,", ",exam,happy,x,", {"splits": (12, "test0.png", "exam")}),
        ("^train1.png", "train0.png", {"ids": (0, "train0.png", "train0.png")}),
        ("test person 0", "train person 0", {"subjects": (0, "train0.png", "train + test")}),
        ("[0-9a-f]{64}$", "0" * 64, {"pixels": (0, "train0.png", "other")}),
        ("^id,source", "name,source", {"columns": (None, "id", "missing")}),
    ],
)
def test_a_wrong_manifest_fails_the_check_for_it(
    dataset: Path, pattern: str, replacement: str, expected: dict[str, tuple[int, str, str]]
) -> None:
    edit_manifest(dataset, pattern, replacement)
    found = failures(validate(dataset))
    assert {name: offenders[0] for name, offenders in found.items()} == expected


def test_blank_faces_are_named(dataset: Path) -> None:
    # One colour: no contrast, though the channels differ.
    paint(dataset, {2: (200, 30, 90), 7: 0})
    found = failures(validate(dataset))
    assert found["contrast"] == [(2, "train2.png", "0.00"), (7, "train7.png", "0.00")]
    assert set(found) == {"contrast", "pixels"}


def test_a_picture_in_two_splits_is_named_on_both_sides(dataset: Path) -> None:
    paint(dataset, {13: np.load(dataset / "images.npy")[1]})
    rows = failures(validate(dataset))["duplicates"]
    assert rows == [(1, "train1.png", "train + test"), (13, "test1.png", "train + test")]


def test_a_class_may_be_called_what_several_are_joined_by(dataset: Path) -> None:
    edit_manifest(dataset, ",sad,", ",sad + tired,")
    found = failures(validate(dataset))
    assert "labels" in found
    assert "labels_of_pictures" not in found


@pytest.mark.parametrize(
    ("change", "check", "value"),
    [
        (lambda images: images[:, :64, :64], "shape", "64x64x3"),
        (lambda images: images.astype(np.int16), "dtype", "int16"),
    ],
)
def test_another_shape_or_type_fails(
    dataset: Path, change: Callable[[np.ndarray], np.ndarray], check: str, value: str
) -> None:
    np.save(dataset / "images.npy", change(np.load(dataset / "images.npy")))
    found = failures(validate(dataset))
    assert len(found[check]) == 18
    assert found[check][0] == (0, "train0.png", value)


def test_too_few_faces_name_the_group(dataset: Path) -> None:
    settings = replace(SETTINGS, minimum_per_class=2, train_faces=12271, test_faces=3068)
    assert failures(validate(dataset, settings)) == {
        "faces_per_class": [(None, f"{name} in validation", "1") for name in CLASSES],
        "train_faces": [(None, "train", "12")],
        "test_faces": [(None, "test", "6")],
    }


def test_files_that_cannot_be_read_are_user_errors(dataset: Path) -> None:
    images = np.load(dataset / "images.npy")
    np.save(dataset / "images.npy", images[:-1])
    with pytest.raises(UserError, match=r"holds 17 faces, manifest\.csv 18 rows"):
        validate(dataset)
    (dataset / "manifest.csv").unlink()
    with pytest.raises(UserError, match=r"manifest\.csv cannot be read as a table: .*No such file"):
        validate(dataset)
    (dataset / "images.npy").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"images\.npy is no array, or cut off"):
        validate(dataset)


def test_a_failure_is_one_line_and_everything_is_written(dataset: Path, tmp_path: Path) -> None:
    paint(dataset, dict.fromkeys(range(2, 7), 9))
    edit_manifest(dataset, "^train4.png", "<b>train4</b>.png")
    validation = validate(dataset)
    page = tmp_path / "page"
    write_report(validation, page, "mine")
    write_verdict(validation, tmp_path / "verdict.json")
    with pytest.raises(UserError) as caught:
        raise_if_failed(validation, page)
    message = str(caught.value)
    assert "\n" not in message
    assert "contrast: row 2 train2.png = 0.00, row 3 train3.png = 0.00, row 4" in message
    assert "and 2 more" in message
    listed = (page / "offenders.csv").read_text().splitlines()
    assert listed[0] == "check,row,id,value"
    assert "contrast,6,train6.png,0.00" in listed
    assert json.loads((tmp_path / "verdict.json").read_text())["checks"]["contrast"] is False
    html = (page / "index.html").read_text()
    assert "<b>train4" not in html
    assert "row 6, train6.png: 0.00" in html
    assert html.count("data:image/png;base64,") == 15  # five faces in three failed checks
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)


def test_contrast_is_the_deviation_of_the_pixels_of_a_channel() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
    expected = faces.std(axis=(1, 2)).mean(axis=1)
    np.testing.assert_allclose([contrast(face) for face in faces], expected, rtol=1e-12)


def test_a_person_called_na_is_known(dataset: Path) -> None:
    edit_manifest(dataset, ",test person 0,", ",NA,")  # pandas would read a missing value here
    assert validate(dataset).subjects == 6
