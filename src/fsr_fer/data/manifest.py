"""The list of faces every stage after ``dataset`` works from: one row per face, in array order."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv
from fsr_fer.common.settings import FULL_SIZE

IMAGE_SIZE = FULL_SIZE  # as synthetic/drawing.py calls it
SPLITS = ("train", "validation", "test")
COLUMNS = ("id", "source", "split", "label", "subject", "sha256")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Who is on each row of ``images.npy`` (uint8 [N, 100, 100, 3] RGB).

    ``labels`` holds positions in ``class_names``; the file holds the names themselves. ``subjects``
    are empty strings where nobody knows who is on the picture. ``sha256`` is that of the pixels.
    """

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    splits: tuple[str, ...]
    labels: np.ndarray  # int64 [N]
    subjects: tuple[str, ...]
    sha256: tuple[str, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, *splits: str) -> np.ndarray:
        """Positions (int64, ascending) of the faces of these splits."""
        return np.flatnonzero(np.isin(self.splits, splits))

    def write(self, path: Path) -> None:
        names = [self.class_names[label] for label in self.labels]
        columns = (self.ids, self.sources, self.splits, names, self.subjects, self.sha256)
        write_csv(path, COLUMNS, zip(*columns, strict=True))


def read_manifest(path: Path, class_names: tuple[str, ...]) -> Manifest:
    """Read ``manifest.csv``.

    Raises:
        UserError: it is missing, or a label is none of ``class_names``.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            _, *rows = csv.reader(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` writes it") from None
    ids, sources, splits, labels, subjects, sha256 = zip(*rows, strict=True)
    if unknown := set(labels) - set(class_names):
        raise UserError(f"{path}: labels {sorted(unknown)} are none of {list(class_names)}")
    return Manifest(
        ids=ids,
        sources=sources,
        splits=splits,
        labels=np.array([class_names.index(label) for label in labels], np.int64),
        subjects=subjects,
        sha256=sha256,
        class_names=tuple(class_names),
    )


def pixel_sha256(face: np.ndarray) -> str:
    """SHA-256 (hex) of the pixels in row order: equal for equal pictures, however stored."""
    return hashlib.sha256(np.ascontiguousarray(face).tobytes()).hexdigest()
