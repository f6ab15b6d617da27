"""What each method predicts for each test face: the files behind every statistic."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv

HR = "hr"
"""Column of the full-size face; x2, x3, ... are those of faces downsampled by 2, 3, ..."""

MEAN = "mean"
"""Column of scores: over all scales without full size (paper, table 2: "avg")."""

CONFIDENCE = ".confidence"
"""Ending of a column."""

HASH = "sha256"
"""The last column of predictions that were imported."""

Face = tuple[str, str, str]
"""Id, class name and SHA-256 of the pixels."""


@dataclass(frozen=True, kw_only=True)
class PredictionTable:
    """The class a method predicts for each test face, at full size and at each scale.

    ``labels`` (int64 [N]) and ``predicted`` (int64 [N], keyed "hr", "x2", ...) hold positions in
    ``class_names``, ``confidence`` (float64 [N], same keys or none) the predicted class's
    probability, 0 to 1. Imported predictions have ``hashes``, the SHA-256 of each face's pixels.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    predicted: Mapping[str, np.ndarray]
    confidence: Mapping[str, np.ndarray] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()

    @property
    def faces(self) -> list[Face]:
        """The faces of imported predictions."""
        labels = [self.class_names[label] for label in self.labels]
        return list(zip(self.ids, labels, self.hashes, strict=True))

    def at(self, size: str, scales: Sequence[int]) -> np.ndarray:
        """Predicted classes at a size, int64 [1, N], or for ``MEAN`` at all scales, [S, N]."""
        sizes = [f"x{scale}" for scale in scales] if size == MEAN else [size]
        return np.stack([self.predicted[name] for name in sizes])

    def write(self, path: Path) -> None:
        """Write ``id,label,hr,x2,...`` as class names, then ``hr.confidence,...``, ``sha256``."""
        header = ["id", "label", *self.predicted]
        header += [name + CONFIDENCE for name in self.confidence]
        header += [HASH] if self.hashes else []
        names = [
            [self.class_names[position] for position in column]
            for column in (self.labels, *self.predicted.values())
        ]
        # More decimals would differ with the number of threads.
        numbers = [[f"{p:.3f}" for p in column] for column in self.confidence.values()]
        hashes = [self.hashes] if self.hashes else []
        write_csv(path, header, zip(self.ids, *names, *numbers, *hashes, strict=True))


def common_sizes(tables: Collection[PredictionTable], scales: Sequence[int]) -> list[str]:
    """The sizes that all these tables have, and ``MEAN`` if they have every scale."""
    downsampled = [f"x{scale}" for scale in scales]
    known = [s for s in (HR, *downsampled) if all(s in table.predicted for table in tables)]
    return [*known, MEAN] if set(downsampled) <= set(known) else known


def by_size(columns: Collection[str]) -> list[str]:
    """Columns in the order hr, x2, x3, ..., mean."""
    return sorted(columns, key=lambda c: (c == MEAN, c != HR, len(c), c))


def parse_predictions(
    content: bytes, path: Path | str, class_names: tuple[str, ...]
) -> PredictionTable:
    """The table in the content of ``path``, which ``PredictionTable.write`` wrote.

    UserError if it holds no predictions, or a class that is none of ``class_names``.
    """
    try:
        header, *lines = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
        columns = dict(zip(header, zip(*lines, strict=True), strict=True))
        confidence = {
            name.removesuffix(CONFIDENCE): np.array(columns.pop(name), np.float64)
            for name in header
            if name.endswith(CONFIDENCE)
        }
        ids, hashes = columns.pop("id"), columns.pop(HASH, ())
        if unknown := set().union(*columns.values()) - set(class_names):
            raise UserError(f"{path}: classes {sorted(unknown)} are none of {list(class_names)}")
        classes = {
            name: np.array([class_names.index(value) for value in column])
            for name, column in columns.items()
        }
        labels = classes.pop("label")
    except (KeyError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: no predictions as `dvc repro` writes them ({error})") from None
    return PredictionTable(
        ids=ids,
        labels=labels,
        class_names=class_names,
        predicted=classes,
        confidence=confidence,
        hashes=hashes,
    )
