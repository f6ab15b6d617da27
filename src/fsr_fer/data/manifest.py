"""The list of faces every stage after ``dataset`` works from: one row per face, in array order."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.errors import UserError
from fsr_fer.files import write_text

IMAGE_SIZE = 100
"""Height and width of a full-size face in pixels (paper, section 4.1)."""

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
        wanted = set(splits)
        if unknown := wanted - set(SPLITS):
            raise ValueError(f"no such split: {sorted(unknown)}; there are {SPLITS}")
        return np.array([i for i, split in enumerate(self.splits) if split in wanted], np.int64)

    def write(self, path: Path) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        names = [self.class_names[label] for label in self.labels]
        writer.writerows(
            zip(self.ids, self.sources, self.splits, names, self.subjects, self.sha256, strict=True)
        )
        write_text(path, text.getvalue())


def read_manifest(path: Path, class_names: tuple[str, ...]) -> Manifest:
    """Read ``manifest.csv``.

    Raises:
        UserError: a column is missing, or a label is none of ``class_names``.
    """
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{path}: columns are {reader.fieldnames}, expected {list(COLUMNS)}")
        rows = list(reader)
    position = {name: i for i, name in enumerate(class_names)}
    for number, row in enumerate(rows, start=2):
        if row["label"] not in position:
            raise UserError(
                f"{path}, line {number}: label {row['label']!r} is none of {list(class_names)}"
            )

    def column(name: str) -> tuple[str, ...]:
        return tuple(row[name] for row in rows)

    return Manifest(
        ids=column("id"),
        sources=column("source"),
        splits=column("split"),
        labels=np.array([position[row["label"]] for row in rows], np.int64),
        subjects=column("subject"),
        sha256=column("sha256"),
        class_names=tuple(class_names),
    )


def pixel_sha256(face: np.ndarray) -> str:
    """SHA-256 (hex) of the pixels in row order: equal for equal pictures, however stored."""
    return hashlib.sha256(np.ascontiguousarray(face).tobytes()).hexdigest()
