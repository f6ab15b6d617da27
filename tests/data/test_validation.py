"""Each expectation lets good data pass and names what breaks it."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.settings import ValidateSettings
from fsr_fer.data.validation.checks import Offender, Validation, validate_dataset
from fsr_fer.data.validation.report import raise_if_failed, write_report, write_verdict
from tests.data.raw_faces import CLASSES, build

SETTINGS = ValidateSettings(minimum_per_class=1, minimum_contrast=4.0, train_faces=0, test_faces=0)
EVERY = ["columns", "labels", "splits", "ids", "shape", "dtype", "pixels", "contrast", "duplicates"]
EVERY += ["labels_of_pictures"]


@pytest.fixture
def dataset(csv_folder: Path, tmp_path: Path) -> Path:
    build("csv", csv_folder, tmp_path / "dataset")
    return tmp_path / "dataset"


def name(row: int) -> str:
    return f"train{row}.png" if row < 12 else f"test{row - 12}.png"


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
    edit_manifest(dataset, ",test person 0,", ",NA,")  # pandas would read a missing value here
    (dataset / "left_out.json").write_text('{"no majority": 3}')
    validation = validate(dataset, replace(SETTINGS, train_faces=12, test_faces=6))
    assert failures(validation) == {}
    write_verdict(validation, tmp_path / "verdict.json")
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    checks = [*EVERY, "subjects", "faces_per_class", "train_faces", "test_faces"]
    contrasts = np.load(dataset / "images.npy").std(axis=(1, 2)).mean(axis=1)
    assert verdict == {
        "passed": True,
        "checks": dict.fromkeys(checks, True),
        "faces": {"train": 9, "validation": 3, "test": 6},
        "subjects": 6,
        "smallest_class": 1,
        "lowest_contrast": round(contrasts.min(), 2),
        "left_out": {"no majority": 3},
    }
    assert [check.name for check in validation.checks] == checks
    assert validation.counts.to_numpy().tolist() == [[3, 1, 2]] * 3
    write_report(validation, tmp_path / "page", "mine")
    assert "3 no majority." in (tmp_path / "page/index.html").read_text()
    (dataset / "left_out.json").write_text('{"beyond dataset.train_share": 8}')
    assert failures(validate(dataset, replace(SETTINGS, train_faces=20))) == {}


def test_each_fault_is_named_by_its_check_alone(dataset: Path) -> None:
    edit_manifest(dataset, "(?<=.)$", ",1 0 0")
    edit_manifest(dataset, r"\A(.*),1 0 0$", r"\1,votes")
    edit_manifest(dataset, "^(train8.png.*),1 0 0$", r"\1,0.6 0.6 0")
    edit_manifest(dataset, "^(train4.png.*),sad,", r"\1,sad + tired,")
    edit_manifest(dataset, ",test,happy,test person 0,", ",exam,happy,,")
    edit_manifest(dataset, "^train5.png", "train3.png")
    edit_manifest(dataset, "^(test5.*)test person 1", r"\1train person 3")
    edit_manifest(dataset, "^(test4.*),[0-9a-f]{64},", rf"\1,{'0' * 64},")
    # One colour has no contrast, though the channels differ.
    same = np.load(dataset / "images.npy")[1]
    paint(dataset, {2: (200, 30, 90), 7: 0, 13: same, 14: same})
    settings = replace(SETTINGS, minimum_per_class=2, train_faces=12271, test_faces=3068)
    assert failures(validate(dataset, settings)) == {
        "labels": [(4, "train4.png", "sad + tired")],
        "splits": [(12, "test0.png", "exam")],
        "ids": [(3, "train3.png", "train3.png"), (5, "train3.png", "train3.png")],
        "pixels": [(row, name(row), "other") for row in (2, 7, 13, 14, 16)],
        "contrast": [(row, name(row), "0.00") for row in (2, 7)],
        "duplicates": [(row, name(row), "train + test") for row in (1, 13, 14)],
        "labels_of_pictures": [(row, name(row), "sad + angry") for row in (1, 13, 14)],
        "subjects": [(row, name(row), "validation + test") for row in (9, 10, 11, 17)],
        "votes": [(8, "train8.png", "0.6 0.6 0")],
        "faces_per_class": [
            (None, group, "1")
            for group in (*(f"{label} in validation" for label in CLASSES), "happy in test")
        ],
        "train_faces": [(None, "train", "11")],
        "test_faces": [(None, "test", "5")],
    }


def test_a_class_without_faces_no_persons_and_other_arrays(dataset: Path) -> None:
    edit_manifest(dataset, r",(train|test) person \d,", ",,")
    np.save(dataset / "images.npy", np.load(dataset / "images.npy")[:, :64, :64].astype(np.int16))
    validation = validate_dataset(dataset, settings=SETTINGS, class_names=(*CLASSES, "calm"))
    assert "subjects" not in [check.name for check in validation.checks]
    found = failures(validation)
    missing = [(None, f"calm in {split}", "0") for split in ("train", "validation", "test")]
    assert found.pop("faces_per_class") == missing
    assert {name: len(offenders) for name, offenders in found.items()} == {
        "shape": 18, "dtype": 18, "pixels": 18,
    }  # fmt: skip
    assert found["shape"][0] == (0, "train0.png", "64x64x3")
    assert found["dtype"][0] == (0, "train0.png", "int16")


def test_files_that_do_not_belong_together_are_user_errors(dataset: Path) -> None:
    images = np.load(dataset / "images.npy")
    np.save(dataset / "images.npy", images[:-1])
    with pytest.raises(UserError, match=r"holds 17 faces, manifest\.csv 18 rows"):
        validate(dataset)
    np.save(dataset / "images.npy", images)
    edit_manifest(dataset, "^id,source", "name,source")
    with pytest.raises(UserError, match=r"columns name, source, .*, expected id, source, split"):
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
