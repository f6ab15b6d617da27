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
from typing import Any, TypeVar

from fsr_fer.common.errors import UserError
from fsr_fer.predict.faces import box_of
from fsr_fer.predict.pictures import Picture
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
NO_BOX = Box(*[math.nan] * 4)
T = TypeVar("T")


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
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        header = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = header
        name = next((column for column in PICTURE_COLUMNS if column in header), None)
        if name is None:
            raise UserError(
                f"{path}: line 1 is no header with a column image (or source) and commas between"
            )
        found: list[tuple[Sequence[str], str]] = [*_named(header)]
        beside = header[header.index(name) + 1 :][:4]
        if form and not found and len(beside) == 4 and BESIDE.isdisjoint(beside):
            found.append((beside, form))
        columns, own = _chosen(found, form, f"{path}: the columns")
        for column in (name, *columns):
            if header.count(column) > 1:
                raise UserError(f"{path}: line 1 has two columns {column}")
        for row in reader:
            cells = [row[column] for column in columns]
            empty = not any((cell or "").strip() for cell in cells)  # a picture without a face
            box = None if empty else box_of(cells, own)
            yield _line(reader.line_num, row[name], box, row.get("frame"))


def _json_lines(path: str, form: str | None) -> Iterator[Picture]:
    first = True
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            said: Any = None
            name: object = ""
            with contextlib.suppress(ValueError, RecursionError):
                said = json.loads(text)
            try:
                if not isinstance(said, dict):
                    raise UserError(
                        f"{path}, line {number} is no JSON object; expected one on each line"
                    )
                name = next((said[key] for key in PICTURE_COLUMNS if key in said), None)
                box = _json_box(said, form, f"{path}, line {number}: the keys")
                yield _line(number, name, box, said.get("frame"))
            except UserError as error:
                if first:  # so is the whole file
                    raise
                yield Picture(number=number, source=str(name or ""), problem=str(error))
            first = False


def _json_box(said: Mapping[str, Any], form: str | None, where: str) -> Box | None:
    inner = said.get("box")
    named = inner if isinstance(inner, dict) else said
    found: list[tuple[Any, str]] = [(said[key], key) for key in ("xywh", "xyxy") if key in said]
    found += [([named[column] for column in columns], own) for columns, own in _named(named)]
    if isinstance(inner, list) and form:
        found.append((inner, form))
    elif "box" in said and not inner and not found:
        return None  # null, as for a picture without a face
    numbers, own = _chosen(found, form, where)
    if not numbers or numbers == [None] * 4:  # as empty cells in CSV
        return None
    return box_of(numbers, own) if isinstance(numbers, list) and len(numbers) == 4 else NO_BOX


def _named(names: Collection[str]) -> list[tuple[tuple[str, ...], str]]:
    """The columns of a box that are among ``names``, and their form."""
    return [(columns, form) for columns, form in FORMS.items() if set(columns) <= set(names)]


def _chosen(found: Sequence[tuple[T, str]], form: str | None, where: str) -> tuple[T, str]:
    """The only box that was found with its form, or the only one of ``form``.

    UserError if none was found, several and not one of them of ``form``, or one of another form.
    """
    if not found:
        known = " or ".join(",".join(columns) for columns in FORMS)
        raise UserError(
            f"{where} do not name the form of a box; expected {known}; or --box-form, with four "
            "numbers in the columns after image or in the key box"
        )
    if len(found) > 1:
        found = [pair for pair in found if pair[1] == form]
        if len(found) != 1:
            raise UserError(f"{where} name more than one box; leave one, or add --box-form")
    if form and found[0][1] != form:
        raise UserError(f"{where} say {found[0][1]}, --box-form says {form}")
    return found[0]


def _line(number: int, name: object, box: Box | None, frame: object) -> Picture:
    """The picture that a line of the file names, with the line's number."""
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
