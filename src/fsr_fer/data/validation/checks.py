"""Stage ``validate``: what must be true of the faces before anything is trained on them.

Great Expectations checks a table of the manifest and of every face's pixels.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fsr_fer.common.arrays import open_array
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import read_json
from fsr_fer.common.progress import progress
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.manifest import BEYOND_SHARE, COLUMNS, LEFT_OUT, SHARES, SPLITS, pixel_sha256
from fsr_fer.data.settings import ValidateSettings

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when it is imported
import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.data_context.types.base import ProgressBarsConfig

FACE_SHAPE = f"{FULL_SIZE}x{FULL_SIZE}x3"


class Offender(NamedTuple):
    """What failed a check: ``row`` of the manifest, or None where it is a group of faces."""

    row: int | None
    id: str
    value: str


class Check(NamedTuple):
    """One expectation, in words, and what did not meet it."""

    name: str
    expected: str
    offenders: list[Offender]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """All checks of one dataset; ``images`` [N, ...] are memory-mapped.

    ``counts`` are numbers of faces, a row for each class and a column for each split; ``left_out``
    are those of the source that are no part of the dataset, by reason.
    """

    checks: list[Check]
    images: np.ndarray
    counts: pd.DataFrame
    left_out: dict[str, int]
    subjects: int
    lowest_contrast: float

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.offenders]


def validate_dataset(
    directory: Path, *, settings: ValidateSettings, class_names: tuple[str, ...]
) -> Validation:
    """Check ``images.npy`` and ``manifest.csv``; UserError if they do not belong together."""
    images = open_array(directory / "images.npy")
    faces = pd.read_csv(directory / "manifest.csv", dtype=str, keep_default_na=False)
    if len(images) != len(faces):
        raise UserError(
            f"{directory}: images.npy holds {len(images):,} faces, manifest.csv {len(faces):,} "
            "rows; run the dataset stage again"
        )
    if {*faces, SHARES} != {*COLUMNS, SHARES}:
        raise UserError(
            f"{directory}: manifest.csv has the columns {', '.join(faces)}, expected "
            f"{', '.join(COLUMNS)}; run the dataset stage again"
        )
    left_out = read_json(directory / LEFT_OUT)
    columns = Check("columns", f"The manifest has the columns {', '.join(COLUMNS)}.", [])
    _add_pixel_columns(faces, images)
    counts = pd.crosstab(faces["label"], faces["split"])
    counts = counts.reindex(index=class_names, columns=SPLITS, fill_value=0)
    subjects = faces["subject"][faces["subject"] != ""].nunique()
    of_faces = _check_faces(faces, settings.minimum_contrast, class_names, subjects > 0)
    return Validation(
        checks=[columns, *of_faces, *_check_counts(counts, left_out, settings)],
        images=images,
        counts=counts,
        left_out=left_out,
        subjects=subjects,
        lowest_contrast=float(faces["contrast"].min()),
    )


def _add_pixel_columns(faces: pd.DataFrame, images: np.ndarray) -> None:
    """Columns beside the manifest's own."""
    looked_at = progress(images, desc="looking at pixels")
    pixels = [(contrast(face), pixel_sha256(face)) for face in looked_at]
    faces["shape"] = "x".join(str(length) for length in images.shape[1:])
    faces["dtype"] = str(images.dtype)
    faces["contrast"] = [value for value, _ in pixels]
    hashes = pd.Series([sha256 for _, sha256 in pixels], dtype=str)
    faces["pixels"] = np.where(faces["sha256"] == hashes, "same", "other")
    faces["splits_of_picture"] = _several(hashes, faces["split"])
    faces["labels_of_picture"] = _several(hashes, faces["label"])
    faces["splits_of_subject"] = _several(faces["subject"], faces["split"])


def contrast(face: np.ndarray) -> float:
    """Standard deviation of a face's pixels, mean over its channels, in grey levels."""
    return float(face.std(axis=(0, 1)).mean())


def _several(keys: pd.Series, values: pd.Series) -> pd.Series:
    """For each row the values of its key where they differ ("train + test"), else None."""
    unique = values.groupby(keys).unique()
    joined = unique[(unique.str.len() > 1) & (unique.index != "")].map(" + ".join)
    return keys.map(joined)


def _check_faces(
    faces: pd.DataFrame, lowest: float, class_names: tuple[str, ...], subjects_known: bool
) -> Iterator[Check]:
    """Ask Great Expectations what is expected of a column of each face."""

    def in_set(column: str, values: Sequence[str], words: str) -> Any:
        return gxe.ExpectColumnValuesToBeInSet(
            column=column, value_set=list(values), description=words
        )

    def none(column: str, words: str) -> Any:
        return gxe.ExpectColumnValuesToBeNull(column=column, description=words)

    blank = f"No face is blank: its contrast is {lowest:g} grey levels or more"
    expectations = {
        "labels": in_set("label", class_names, f"Each label is one of {', '.join(class_names)}."),
        "splits": in_set("split", SPLITS, f"Each split is one of {', '.join(SPLITS)}."),
        "ids": gxe.ExpectColumnValuesToBeUnique(column="id", description="Each id is there once."),
        "shape": in_set("shape", [FACE_SHAPE], f"Each face is {FACE_SHAPE}."),
        "dtype": in_set("dtype", ["uint8"], "Pixels are whole numbers from 0 to 255."),
        "pixels": in_set("pixels", ["same"], "The pixels are those the manifest was written for."),
        "contrast": gxe.ExpectColumnValuesToBeBetween(
            column="contrast", min_value=lowest, description=f"{blank} (validate.minimum_contrast)."
        ),
        "duplicates": none("splits_of_picture", "No picture is in more than one split."),
        "labels_of_pictures": none("labels_of_picture", "No picture has two labels."),
    }
    if subjects_known:
        words = "No known person is in more than one split."
        expectations["subjects"] = none("splits_of_subject", words)
    if SHARES in faces:
        faces["wrong_shares"] = [_unless_shares(text, len(class_names)) for text in faces[SHARES]]
        words = "Shares of the votes are 0 or more and sum to 1."
        expectations["votes"] = none("wrong_shares", words)

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.pandas_default.read_dataframe(faces)
    for name, expectation in expectations.items():
        result = batch.validate(expectation, result_format="COMPLETE")
        rows = result.result.get("unexpected_index_list", [])
        if result.success == bool(rows):
            raise RuntimeError(f"Great Expectations could not check {name}: {result}")
        offenders = [
            Offender(row, faces["id"][row], f"{value:.2f}" if name == "contrast" else str(value))
            for row, value in faces.loc[rows, expectation.column].items()
        ]
        yield Check(name, expectation.description, offenders)


def _unless_shares(text: str, classes: int) -> str | None:
    """The text, unless it is a face's shares of the votes."""
    values = [float(value) for value in text.split()]
    right = len(values) == classes and min(values) >= 0 and abs(sum(values) - 1) < 1e-4
    return None if right else text


def _check_counts(
    counts: pd.DataFrame, left_out: Mapping[str, int], settings: ValidateSettings
) -> Iterator[Check]:
    """Whether there are enough faces; what fails is a class in a split, or a split."""
    lowest = settings.minimum_per_class
    too_few = [
        Offender(None, f"{label} in {split}", str(found))
        for split in counts
        for label, found in counts[split].items()
        if found < lowest
    ]
    words = f"Each class has {lowest:,} faces or more in each split (validate.minimum_per_class)."
    yield Check("faces_per_class", words, too_few)
    train, test = counts[["train", "validation"]].to_numpy().sum(), counts["test"].sum()
    train += left_out.get(BEYOND_SHARE, 0)
    for split, found, wanted, note in (
        ("train", train, settings.train_faces, ", all but those of test"),
        ("test", test, settings.test_faces, ""),
    ):
        if wanted:
            wrong = [Offender(None, split, str(found))] if found != wanted else []
            yield Check(
                f"{split}_faces",
                f"There are {wanted:,} {split} faces{note} (validate.{split}_faces).",
                wrong,
            )
