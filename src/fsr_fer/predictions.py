"""What each row of the main table read on each face: the file every statistic is computed from."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fsr_fer.errors import UserError
from fsr_fer.files import write_text

if TYPE_CHECKING:
    from fsr_fer.data.manifest import Manifest
    from fsr_fer.evaluation import Answers

HR = "hr"
"""Column of the full-size face; x2, x3, ... are those of the faces made smaller by 2, 3, ..."""

CONFIDENCE = ".confidence"
"""What ``hr.confidence`` has after the name of the column it belongs to."""

DECIMALS = 3
"""Of a confidence in the file. More would be noise of the arithmetic: other numbers of threads, and
the files would differ."""

_COLUMN = re.compile(r"hr|x([2-9]|[1-9][0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The class a row of the main table names for each test face, at full size and at each scale.

    ``labels`` (int64 [N]) and each array of ``predicted`` (int64 [N], keyed "hr", "x2", ...) hold
    positions in ``class_names``. A row that does not exist at some scale has no key for it.
    ``confidence`` (float64 [N], 0 to 1, same keys or fewer) is the probability that the row gives
    to the class it names; files written before it was kept have none.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    predicted: Mapping[str, np.ndarray]
    confidence: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("an id occurs twice")
        for name, values in {"label": self.labels, **self.predicted}.items():
            if name != "label" and not _COLUMN.fullmatch(name):
                raise ValueError(f"predicted has the key {name!r}; expected hr, x2, x3, ...")
            if values.shape != (len(self.ids),) or values.dtype != np.int64:
                raise ValueError(
                    f"{name} is {values.dtype} {values.shape}, expected int64 ({len(self.ids)},)"
                )
            if values.size and not 0 <= values.min() <= values.max() < len(self.class_names):
                raise ValueError(f"{name} holds a class outside 0..{len(self.class_names) - 1}")
        for name, values in self.confidence.items():
            if name not in self.predicted:
                raise ValueError(f"confidence has the key {name!r}, predicted has not")
            if values.shape != (len(self.ids),) or values.dtype != np.float64:
                raise ValueError(
                    f"confidence in {name} is {values.dtype} {values.shape}, expected float64 "
                    f"({len(self.ids)},)"
                )
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"confidence in {name} holds a value outside 0..1")

    def __len__(self) -> int:
        return len(self.ids)

    def write(self, path: Path) -> None:
        """Write ``id,label,hr,x2,...`` with class names as values.

        ``hr.confidence,x2.confidence,...`` follow, with 3 decimals.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        confidence_names = [name + CONFIDENCE for name in self.confidence]
        writer.writerow(["id", "label", *self.predicted, *confidence_names])
        columns = [self.labels, *self.predicted.values()]
        names = [[self.class_names[position] for position in column] for column in columns]
        numbers = [[f"{p:.{DECIMALS}f}" for p in column] for column in self.confidence.values()]
        writer.writerows(zip(self.ids, *names, *numbers, strict=True))
        write_text(path, text.getvalue())


def predictions_of(manifest: Manifest, answers: Mapping[str, Answers]) -> Predictions:
    """What was read from the test faces, in the manifest's order, at each size."""
    rows = manifest.rows("test")
    return Predictions(
        ids=tuple(manifest.ids[i] for i in rows),
        labels=manifest.labels[rows],
        class_names=manifest.class_names,
        predicted={column: some.classes for column, some in answers.items()},
        confidence={column: some.confidence for column, some in answers.items()},
    )


def read_predictions(path: Path, class_names: tuple[str, ...]) -> Predictions:
    """Read what ``Predictions.write`` wrote.

    Raises:
        UserError: the file is missing or empty, a column has an unknown name or comes twice, a line
            has too few or too many values, a value is none of ``class_names`` or no probability,
            an id comes twice.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            columns = _columns(path, next(lines, []))
            classes = [name for name in columns if not name.endswith(CONFIDENCE)]
            ids, values, numbers = _values(path, lines, columns, class_names)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` writes it") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error.reason})") from None
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV file ({error})") from None
    table = np.array(values, np.int64)
    confidence = np.array(numbers, np.float64)
    return Predictions(
        ids=tuple(ids),
        labels=table[:, 0].copy(),
        class_names=tuple(class_names),
        predicted={name: table[:, i].copy() for i, name in enumerate(classes, start=1)},
        confidence={
            name.removesuffix(CONFIDENCE): confidence[:, i].copy()
            for i, name in enumerate(columns[len(classes) :])
        },
    )


def _columns(path: Path, header: list[str]) -> list[str]:
    """Names of the columns after id and label: classes first, then confidences."""
    columns = header[2:]
    if header[:2] != ["id", "label"] or not columns:
        raise UserError(f"{path}: columns are {header}, expected id, label, hr, x2, ...")
    for i, name in enumerate(columns):
        known = columns[:i] if name.endswith(CONFIDENCE) else [name]
        column = name.removesuffix(CONFIDENCE)
        if not _COLUMN.fullmatch(column) or column not in known:
            raise UserError(
                f"{path}: column {name!r} is unknown; expected hr, x2, x3, ... and then "
                f"hr{CONFIDENCE}, x2{CONFIDENCE}, ... of these"
            )
        if columns.count(name) > 1:
            raise UserError(f"{path}: column {name!r} comes twice")
        if i and columns[i - 1].endswith(CONFIDENCE) and not name.endswith(CONFIDENCE):
            raise UserError(f"{path}: column {name!r} comes after {columns[i - 1]!r}")
    return columns


def _values(
    path: Path, lines: Iterable[list[str]], columns: list[str], class_names: tuple[str, ...]
) -> tuple[list[str], list[list[int]], list[list[float]]]:
    """Ids; per face the positions of its label and of what was predicted; confidences."""
    position = {name: i for i, name in enumerate(class_names)}
    num_classes = 1 + sum(not name.endswith(CONFIDENCE) for name in columns)
    seen: set[str] = set()
    ids: list[str] = []
    values: list[list[int]] = []
    numbers: list[list[float]] = []
    for number, line in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        if len(line) != len(columns) + 2:
            raise UserError(f"{where}: {len(line)} values, expected {len(columns) + 2}")
        named, probable = line[1 : 1 + num_classes], line[1 + num_classes :]
        if unknown := [name for name in named if name not in position]:
            raise UserError(f"{where}: {unknown[0]!r} is none of {list(class_names)}")
        if line[0] in seen:
            raise UserError(f"{where}: id {line[0]!r} comes twice")
        seen.add(line[0])
        ids.append(line[0])
        values.append([position[name] for name in named])
        numbers.append([_probability(where, text) for text in probable])
    if not ids:
        raise UserError(f"{path}: no face is listed; expected one line per test face")
    return ids, values, numbers


def _probability(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UserError(f"{where}: {text!r} is no probability from 0 to 1")
    return value
