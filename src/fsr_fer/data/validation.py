"""Stage ``validate``: what must be true of the faces before anything is trained on them.

Great Expectations (data/gate.py) checks a table of the manifest and of every face's pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fsr_fer.data.gate import ROW, Check, Expectation, Gate, at_least, one_of, unique, without
from fsr_fer.data.image_statistics import ImageStatistics, image_statistics, open_images
from fsr_fer.data.manifest import IMAGE_SIZE, SPLITS
from fsr_fer.errors import UserError
from fsr_fer.progress import Track, quiet
from fsr_fer.settings import ValidateSettings

if TYPE_CHECKING:
    import pandas as pd

FACE_SHAPE = f"{IMAGE_SIZE}x{IMAGE_SIZE}x3"


@dataclass(frozen=True, kw_only=True)
class Validation:
    """All checks of one dataset; ``counts`` [splits, classes] in the order of SPLITS and names."""

    checks: tuple[Check, ...]
    class_names: tuple[str, ...]
    counts: np.ndarray
    subjects: int
    lowest_contrast: float

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that something broke."""
        return tuple(check for check in self.checks if not check.passed)


def validate_dataset(
    directory: Path,
    *,
    settings: ValidateSettings,
    class_names: tuple[str, ...],
    data_docs: Path | None = None,
    track: Track = quiet,
) -> Validation:
    """Check ``images.npy`` and ``manifest.csv`` in ``directory``.

    With ``data_docs``, Great Expectations' own pages are written to that folder as well (they load
    scripts and a logo from the network when they are opened).

    Raises:
        UserError: one of the files is missing, cannot be read, or the two differ in length.
    """
    frame = _read_frame(directory / "manifest.csv")
    images = open_images(directory / "images.npy")
    if len(images) != len(frame):
        raise UserError(
            f"{directory}: images.npy holds {len(images):,} faces, manifest.csv {len(frame):,} "
            "rows; run the dataset stage again"
        )
    gate = Gate(data_docs)
    columns = gate.columns(frame)
    if not columns.passed:  # the other checks would ask for columns that are not there
        counts = np.zeros((len(SPLITS), len(class_names)), np.int64)
        return Validation(
            checks=(columns,),
            class_names=class_names,
            counts=counts,
            subjects=0,
            lowest_contrast=0.0,
        )
    statistics = image_statistics(images, track)
    _add_statistics(frame, statistics)
    counts = _count(frame, class_names)
    subjects = {subject for subject in frame["subject"] if subject}
    checks = [
        columns,
        *gate.rows("faces", frame, _face_expectations(settings, class_names, bool(subjects))),
        *gate.rows("groups", _groups(counts, class_names), _group_expectations(settings)),
    ]
    for split, wanted in (("train", settings.train_faces), ("test", settings.test_faces)):
        if wanted:
            found = _split_size(counts, split)
            checks += gate.rows(split, _one_group(split, found), [_size_expectation(split, wanted)])
    return Validation(
        checks=tuple(checks),
        class_names=class_names,
        counts=counts,
        subjects=len(subjects),
        lowest_contrast=float(statistics.contrast.min(initial=np.inf)) if len(statistics) else 0.0,
    )


def _face_expectations(
    settings: ValidateSettings, class_names: tuple[str, ...], subjects_known: bool
) -> list[Expectation]:
    lowest = settings.minimum_contrast
    labels = f"Each label is one of {', '.join(class_names)}."
    blank = f"No face is blank: its contrast is {lowest:g} grey levels or more."
    expectations = [
        one_of("labels", labels, "label", class_names),
        one_of("splits", f"Each split is one of {', '.join(SPLITS)}.", "split", SPLITS),
        unique("ids", "Each id is there once.", "id"),
        one_of("shape", f"Each face is {FACE_SHAPE}.", "shape", [FACE_SHAPE]),
        one_of("dtype", "Pixels are whole numbers from 0 to 255.", "dtype", ["uint8"]),
        one_of("pixels", "The pixels are those the manifest was written for.", "pixels", ["same"]),
        at_least("contrast", blank, "contrast", lowest),
        without("duplicates", "No picture is in more than one split.", "splits_of_picture", "+"),
    ]
    if subjects_known:
        words = "No known person is in more than one split."
        expectations.append(without("subjects", words, "splits_of_subject", "+"))
    return expectations


def _group_expectations(settings: ValidateSettings) -> list[Expectation]:
    lowest = settings.minimum_per_class
    words = f"Each class has {lowest:,} faces or more in each split."
    return [at_least("faces_per_class", words, "faces", lowest)]


def _size_expectation(split: str, wanted: int) -> Expectation:
    both = " (its validation part included)" if split == "train" else ""
    words = f"There are {wanted:,} {split} faces{both}."
    return one_of(f"{split}_faces", words, "faces", [wanted])


def _read_frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from error
    frame.insert(0, ROW, np.arange(len(frame)))
    return frame


def _add_statistics(frame: pd.DataFrame, statistics: ImageStatistics) -> None:
    """Columns beside the manifest's own; what is unknown is None, which no check counts."""
    hashes = np.array(statistics.sha256, dtype=object)
    frame["shape"] = statistics.shape
    frame["dtype"] = statistics.dtype
    frame["contrast"] = statistics.contrast
    frame["minimum"] = statistics.minimum
    frame["maximum"] = statistics.maximum
    frame["mean"] = statistics.mean
    frame["pixels"] = np.where(frame["sha256"] == hashes, "same", "other")
    frame["splits_of_picture"] = _splits_by(hashes.tolist(), frame["split"].tolist())
    subjects = frame["subject"].tolist()
    frame["splits_of_subject"] = _splits_by(subjects, frame["split"].tolist())


def _splits_by(keys: Sequence[str], splits: Sequence[str]) -> list[str | None]:
    """For each row all splits in which its key occurs (``train+test``), None for an empty key."""
    found: dict[str, set[str]] = {}
    for key, split in zip(keys, splits, strict=True):
        found.setdefault(key, set()).add(split)
    order = {split: position for position, split in enumerate(SPLITS)}

    def joined(key: str) -> str:
        return "+".join(sorted(found[key], key=lambda split: (order.get(split, len(order)), split)))

    return [joined(key) if key else None for key in keys]


def _count(frame: pd.DataFrame, class_names: tuple[str, ...]) -> np.ndarray:
    counts = np.zeros((len(SPLITS), len(class_names)), np.int64)
    for split, label in zip(frame["split"], frame["label"], strict=True):
        if split in SPLITS and label in class_names:
            counts[SPLITS.index(split), class_names.index(label)] += 1
    return counts


def _groups(counts: np.ndarray, class_names: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    names = [f"{label} in {split}" for split in SPLITS for label in class_names]
    return pd.DataFrame({"id": names, "faces": counts.reshape(-1)})


def _one_group(name: str, faces: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"id": [name], "faces": [faces]})


def _split_size(counts: np.ndarray, split: str) -> int:
    """Faces of a split; the validation part was held out of train and counts with it."""
    parts = ("train", "validation") if split == "train" else (split,)
    return int(sum(counts[SPLITS.index(part)].sum() for part in parts))
