"""A file of boxes: the pictures, and where in them the faces are.

CSV with a header, or JSON lines. A picture is named by ``image`` or ``source``. The form of a box
is named by its columns or keys (``FORMS``), or by the user; it is never guessed. ``frame`` is the
number of a video's frame. What ``fsr-fer predict`` writes is such a file.
"""

import contextlib
import csv
import itertools
import json
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.predict.faces import box_of
from fsr_fer.predict.pictures import Picture, as_text
from fsr_fer.predict.results import Box

FORMS = {
    ("x", "y", "width", "height"): "xywh",
    ("x", "y", "w", "h"): "xywh",
    ("x1", "y1", "x2", "y2"): "xyxy",
    ("left", "top", "right", "bottom"): "xyxy",
}
PICTURE_COLUMNS = ("image", "source")
BESIDE = {"", "frame", "score", "confidence", "label"}
"""Columns that are no number of a box; they may stand after its four."""
LONGEST_NAME = 20
"""Lines of a CSV over which a name in quotes may go."""
NO_BOX = Box(*[math.nan] * 4)


def read_boxes(path: str, form: str | None, folder: str) -> Iterator[Picture]:
    """The pictures of a file of boxes in its order; consecutive lines of one picture are merged.

    Frames of a video have one number as long as they ascend, so that it is decoded once.

    Names are relative to ``folder``. An invalid line becomes a picture with a problem. UserError if
    the file cannot be read, or the form of its boxes is unknown.
    """
    kinds = {".csv": _csv_lines, ".jsonl": _json_lines, ".json": _json_lines}
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in kinds:
        raise UserError(f"{path}: boxes are read from .csv (with a header) or .jsonl")
    lines = kinds[suffix](path, form)
    # A line with a problem stands alone: it says nothing of its neighbours.
    groups = itertools.groupby(
        lines, lambda line: (line.source, line.frame, line.problem and line.number)
    )
    number, last = 0, ("", math.inf)
    try:
        for (name, frame, _), group in groups:
            same = list(group)
            if frame is None or name != last[0] or frame <= last[1]:
                number += 1
            last = name, math.inf if frame is None else frame
            boxes = tuple(box for line in same for box in line.boxes or (NO_BOX,))
            yield replace(
                same[0],
                number=number,
                source=name or f"{path}:{same[0].number}",
                content=os.path.join(folder, name),
                boxes=boxes if any(line.boxes for line in same) else (),
            )
    except OSError as error:
        raise UserError(f"the boxes {path} cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file: {error}") from None


def _csv_lines(path: str, form: str | None) -> Iterator[Picture]:
    with as_text(open(path, "rb"), path, newline="") as file:
        records = _records(file)
        _, first = next(records, (1, []))
        if isinstance(first, csv.Error):
            raise first
        header = [column.strip() for column in first]
        name = next((column for column in PICTURE_COLUMNS if column in header), None)
        if name is None:
            raise UserError(
                f"{path}: line 1 is no header with a column image (or source) and commas between"
            )
        beside = header[header.index(name) + 1 :][:4]
        known = (*PICTURE_COLUMNS, "frame", *itertools.chain(*FORMS), *beside)
        if twice := [column for column in known if column and header.count(column) > 1]:
            raise UserError(f"{path}: line 1 has two columns {twice[0]}")
        unnamed = form and not _named(header) and len(beside) == 4 and BESIDE.isdisjoint(beside)

        def line(number: int, cells: Sequence[str]) -> Picture:
            row: dict[str, Any] = dict(itertools.zip_longest(header, cells[: len(header)]))
            said = {**row, "box": [row[column] for column in beside]} if unnamed else row
            return _line(number, said, form, f"{path}: the columns")

        line(1, ())  # wrong columns fail before any row
        for number, cells in records:
            if isinstance(cells, csv.Error):
                problem = f"line {number} of {path} is no CSV: {cells}"
                yield Picture(number=number, source="", problem=problem)
            elif cells:
                yield line(number, cells)


def _records(file: Iterator[str]) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The number of each line of CSV, and its cells or what is wrong with it.

    A name in quotes may go on over some lines. A quote that nobody closes ends with its line.
    """
    number, lines = 1, list(itertools.islice(file, LONGEST_NAME))
    while lines:
        reader = csv.reader(lines, strict=True)
        found: list[str] | csv.Error
        try:
            found, read = next(reader), reader.line_num
        except csv.Error as error:
            found, read = error, 1
        yield number + read - 1, found
        number += read
        lines = [*lines[read:], *itertools.islice(file, read)]


def _json_lines(path: str, form: str | None) -> Iterator[Picture]:
    first = True
    with as_text(open(path, "rb"), path) as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            where, said = f"{path}, line {number}", None
            with contextlib.suppress(ValueError, RecursionError):
                said = json.loads(text)
            try:
                if not isinstance(said, dict):
                    raise UserError(f"{where} is no JSON object; expected one on each line")
                yield _line(number, said, form, f"{where}: the keys")
            except UserError as error:
                if first:  # so is the whole file
                    raise
                yield Picture(number=number, source="", problem=str(error))
            first = False


def _line(number: int, said: Mapping[str, Any], form: str | None, where: str) -> Picture:
    """The picture that a line of the file names, with the line's number."""
    name = next((said[key] for key in PICTURE_COLUMNS if key in said), None)
    box, frame = _box(said, form, where), said.get("frame")
    if not isinstance(name, str) or not name.strip():
        return Picture(number=number, source="", problem=f"line {number} names no picture")
    picture = Picture(number=number, source=name, boxes=() if box is None else (box,))
    if frame is None or not str(frame).strip():
        return picture
    found = re.fullmatch(r"(\d{1,12})(\.0)?", str(frame).strip())  # .0 as pandas writes it
    if found:
        return replace(picture, frame=int(found[1]))
    problem = f"line {number} has the frame {str(frame)[:20]!r}; expected a number from 0"
    return Picture(number=number, source=name, problem=problem)


def _box(said: Mapping[str, Any], form: str | None, where: str) -> Box | None:
    """The box that columns or keys name, in ``form`` if there are several; None: no face.

    UserError if they name none, or several of which not one is of ``form``.
    """
    inner = said.get("box")
    named = inner if isinstance(inner, dict) else said
    found: list[tuple[Any, str]] = [(said[key], key) for key in ("xywh", "xyxy") if key in said]
    found += [([named[column] for column in columns], own) for columns, own in _named(named)]
    if isinstance(inner, list) and form:
        found.append((inner, form))
    if not found:
        if "box" in said and not inner:
            return None
        known = " or ".join(",".join(columns) for columns in FORMS)
        raise UserError(
            f"{where} do not name the form of a box; expected {known}; or --box-form, with four "
            "numbers in the columns after image or in the key box"
        )
    if len(found) > 1:
        found = [pair for pair in found if pair[1] == form]
        if len(found) != 1:
            raise UserError(f"{where} name more than one box; leave one, or add --box-form")
    ((numbers, own),) = found
    if form and own != form:
        raise UserError(f"{where} say {own}, --box-form says {form}")
    if not isinstance(numbers, list):
        return NO_BOX if numbers else None
    if all(number is None or not str(number).strip() for number in numbers):
        return None
    return box_of(numbers, own) if len(numbers) == 4 else NO_BOX


def _named(names: Collection[str]) -> list[tuple[tuple[str, ...], str]]:
    """The columns of a box that are among ``names``, and their form."""
    return [(columns, form) for columns, form in FORMS.items() if set(columns) <= set(names)]
