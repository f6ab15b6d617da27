"""The list of faces: one row per face, in array order."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.common.errors import UserError

SPLITS = ("train", "validation", "test")
COLUMNS = ("id", "source", "split", "label", "subject", "sha256")
"""Of ``manifest.csv``; ``sha256`` is that of the pixels, ``subject`` is empty where unknown."""

SHARES = "votes"
"""One more column where faces have votes: each class's share of them, in the classes' order."""
LEFT_OUT = "left_out.json"
"""Beside the manifest where faces of the source are no part of it: how many, by reason."""
BEYOND_SHARE = "beyond dataset.train_share"
"""The reason of train faces that are left out on purpose."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What stages read of ``manifest.csv``: id, split and label of each row of ``images.npy``.

    ``labels`` (int64 [N]) holds positions in ``class_names``; the file holds the names themselves.
    ``shares`` (float32 [N, classes]) are those of the votes, None where faces have none.
    """

    ids: tuple[str, ...]
    splits: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    shares: np.ndarray | None = None

    def rows(self, *splits: str) -> np.ndarray:
        """Positions (int64, ascending) of these splits' faces."""
        return np.flatnonzero(np.isin(self.splits, splits))


def read_manifest(path: Path, class_names: tuple[str, ...]) -> Manifest:
    """Read ``manifest.csv``; UserError if it has unknown labels."""
    shares = None
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if unknown := {row["label"] for row in rows} - set(class_names):
        raise UserError(f"{path}: labels {sorted(unknown)} are none of {list(class_names)}")
    if rows and SHARES in rows[0]:
        shares = np.array([row[SHARES].split() for row in rows]).astype(np.float32)
    return Manifest(
        ids=tuple(row["id"] for row in rows),
        splits=tuple(row["split"] for row in rows),
        labels=np.array([class_names.index(row["label"]) for row in rows], np.int64),
        class_names=class_names,
        shares=shares,
    )


def pixel_sha256(face: np.ndarray) -> str:
    """SHA-256 (hex) of the pixels in row order: equal for equal pictures, however stored."""
    return hashlib.sha256(np.ascontiguousarray(face).tobytes()).hexdigest()
