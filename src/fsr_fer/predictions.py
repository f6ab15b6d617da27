"""What each row of the main table read on each face: the file every statistic is computed from."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.errors import UserError
from fsr_fer.files import write_text

HR = "hr"
"""Column of the full-size face; x2, x3, ... are those of the faces made smaller by 2, 3, ..."""

_COLUMN = re.compile(r"hr|x([2-9]|[1-9][0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The class a row of the main table names for each test face, at full size and at each scale.

    ``labels`` (int64 [N]) and each array of ``predicted`` (int64 [N], keyed "hr", "x2", ...) hold
    positions in ``class_names``. A row that does not exist at some scale has no key for it.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    predicted: Mapping[str, np.ndarray]

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

    def __len__(self) -> int:
        return len(self.ids)

    def write(self, path: Path) -> None:
        """Write ``id,label,hr,x2,...`` with class names as values."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "label", *self.predicted])
        columns = [self.labels, *self.predicted.values()]
        names = [[self.class_names[position] for position in column] for column in columns]
        writer.writerows(zip(self.ids, *names, strict=True))
        write_text(path, text.getvalue())


def read_predictions(path: Path, class_names: tuple[str, ...]) -> Predictions:
    """Read what ``Predictions.write`` wrote.

    Raises:
        UserError: the file is missing or empty, a column has an unknown name or comes twice, a line
            has too few or too many values, a value is none of ``class_names``, an id comes twice.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            columns = _columns(path, next(lines, []))
            ids, values = _values(path, lines, len(columns), class_names)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` writes it") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error.reason})") from None
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV file ({error})") from None
    table = np.array(values, np.int64)
    return Predictions(
        ids=tuple(ids),
        labels=table[:, 0].copy(),
        class_names=tuple(class_names),
        predicted={name: table[:, i].copy() for i, name in enumerate(columns, start=1)},
    )


def _columns(path: Path, header: list[str]) -> list[str]:
    """Names of the columns after id and label."""
    columns = header[2:]
    if header[:2] != ["id", "label"] or not columns:
        raise UserError(f"{path}: columns are {header}, expected id, label, hr, x2, ...")
    for name in columns:
        if not _COLUMN.fullmatch(name):
            raise UserError(f"{path}: column {name!r} is unknown; expected hr, x2, x3, ...")
        if columns.count(name) > 1:
            raise UserError(f"{path}: column {name!r} comes twice")
    return columns


def _values(
    path: Path, lines: Iterable[list[str]], num_columns: int, class_names: tuple[str, ...]
) -> tuple[list[str], list[list[int]]]:
    """Ids, and per face the positions of its label and of what was predicted."""
    position = {name: i for i, name in enumerate(class_names)}
    seen: set[str] = set()
    ids: list[str] = []
    values: list[list[int]] = []
    for number, line in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        if len(line) != num_columns + 2:
            raise UserError(f"{where}: {len(line)} values, expected {num_columns + 2}")
        if unknown := [name for name in line[1:] if name not in position]:
            raise UserError(f"{where}: {unknown[0]!r} is none of {list(class_names)}")
        if line[0] in seen:
            raise UserError(f"{where}: id {line[0]!r} comes twice")
        seen.add(line[0])
        ids.append(line[0])
        values.append([position[name] for name in line[1:]])
    if not ids:
        raise UserError(f"{path}: no face is listed; expected one line per test face")
    return ids, values
