"""Predictions as text, a line each: a table, CSV or JSON lines; and resuming a file."""

import csv
import io
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from fsr_fer.common.errors import UserError
from fsr_fer.predict.results import Box, Prediction

Format = Literal["table", "csv", "jsonl"]
ESCAPES = "backslashreplace"
"""A name that is not UTF-8 is written as escapes, which JSON reads back as it was."""
LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Characters of names at which some programs end a line, and how JSON writes them without."""
CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's categories of characters that end a line or command a terminal."""
FIRST = ("input", "source", "frame", "seconds", "status")
SOURCE_WIDTH, NAME_WIDTH = 40, 17
"""Characters of a table's first column, and how many of them a name has, whatever follows it."""
JSON_START = b'{"input": '
"""How each line of ``to_dict`` begins."""
WORTH_SAYING = 0.1
"""Probability from which a table lists the other expressions."""


class Lines:
    """How predictions are written: ``header`` once, then ``line`` each, both with line ends."""

    def __init__(self, format: Format, class_names: Sequence[str]) -> None:
        self.format = format
        self._label_width = max(12, *map(len, class_names))
        self._columns = (
            *FIRST,
            *Box._fields,
            *("score", "pixels", "label", "probability", "uncertain", "expected_accuracy"),
            *(f"p_{name}" for name in class_names),
            "message",
        )

    def header(self) -> str:
        """The first line; nothing for JSON lines."""
        if self.format == "jsonl":
            return ""
        if self.format == "table":
            words = ("source", "pixels", "label", "probability", "expected", "note")
            return _table_line(self._label_width, *words)
        return _csv_line(self._columns)

    def line(self, row: Prediction) -> str:
        """One prediction; never more than one line, whatever the picture is called."""
        if self.format == "jsonl":
            return json.dumps(row.to_dict(), ensure_ascii=False).translate(LINE_ENDS) + "\n"
        return self._csv(row) if self.format == "csv" else _table(row, self._label_width)

    def _csv(self, row: Prediction) -> str:
        said = row.to_dict()
        said |= said["box"] or {}
        said |= {f"p_{name}": p for name, p in said["probabilities"].items()}
        said["source"] = _one_line(row.source)
        if row.uncertain is not None:
            said["uncertain"] = str(row.uncertain).lower()
        return _csv_line([said.get(column) for column in self._columns])


def _csv_line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _table(row: Prediction, label_width: int) -> str:
    source, where = _one_line(row.source), ""
    if row.frame is not None:
        where += f" frame {row.frame}" + ("" if row.seconds is None else f", {row.seconds:.2f} s")
    if row.box is not None:
        where += f" [{row.box.x:g},{row.box.y:g} {row.box.width:g}x{row.box.height:g}]"
    width = max(SOURCE_WIDTH - len(where), NAME_WIDTH)
    if len(source) > width:
        source = "..." + source[3 - width :]
    source += where
    if row.label is None:
        pixels = "-" if row.pixels is None else str(row.pixels)
        said = f"{row.status}: {row.message}"
        return _table_line(label_width, source, pixels, "-", "-", "-", said)
    others = [
        f"{name} {p:.2f}"
        for name, p in row.probabilities.items()
        if name != row.label and p >= WORTH_SAYING
    ]
    note = "; ".join(filter(None, ["uncertain" * bool(row.uncertain), ", ".join(others)]))
    expected = "-" if row.expected_accuracy is None else f"{row.expected_accuracy:.2f}"
    probability = f"{row.probability:.2f}"
    cells = (source, str(row.pixels), row.label, probability, expected, note)
    return _table_line(label_width, *cells)


def _table_line(label_width: int, *cells: str) -> str:
    source, pixels, label, probability, expected, note = cells
    line = f"{source:{SOURCE_WIDTH}}  {pixels:>6}  {label:{label_width}}"
    line += f"  {probability:>11}  {expected:>8}"
    return f"{line}  {note}".rstrip() + "\n"


def _one_line(name: str) -> str:
    """A name with its control characters as escapes: a line end would split a row in two."""
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in CONTROLS else c for c in name)


class Place(NamedTuple):
    """Which picture a row is about: its input's number and source, and the frame of a video."""

    number: int
    source: str
    frame: int | None

    def __str__(self) -> str:
        frame = "" if self.frame is None else f", frame {self.frame:,}"
        return f"input {self.number:,}, {self.source!r}{frame}"


class Done(NamedTuple):
    """Of a file that was written before: the last picture in it if any, and what is before it."""

    last: Place | None
    size: int  # bytes
    rows: int = 0
    failed: int = 0  # rows without a prediction


def read_done(path: Path, lines: Lines) -> Done:
    """What a stopped run has written.

    Its last picture is to be read again, for its rows may not all be there; so is a line that was
    cut off. UserError if the file is of another form, or its rows are of other classes.
    """
    header = lines.header().encode("utf-8", ESCAPES)
    at, rows, failed = len(header), 0, 0
    done = Done(None, at)
    with open(path, "rb") as file:
        first = file.read(at)
        if first != header:
            if not header.startswith(first):
                raise UserError(f"{path} was not written by this command: its first line differs")
            return Done(None, 0)
        for line in file:
            if not line.endswith(b"\n"):
                start = JSON_START[: len(line)] if lines.format == "jsonl" else b""
                if not line.startswith(start):
                    raise UserError(
                        f"{path} was not written by this command: its last line differs"
                    )
                break
            text = line.decode("utf-8", "replace")
            try:
                if lines.format == "jsonl":
                    said = json.loads(text)
                else:
                    said = dict(zip(FIRST, next(csv.reader([text])), strict=False))
                frame = None if said["frame"] in (None, "") else int(said["frame"])
                place = Place(int(said["input"]), str(said["source"]), frame)
                wrong = said["status"] != "ok"
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError, csv.Error):
                raise UserError(
                    f"{path} cannot be gone on with: the line at byte {at:,} is no row of "
                    "predictions"
                ) from None
            if place != done.last:
                done = Done(place, at, rows, failed)
            at, rows, failed = at + len(line), rows + 1, failed + wrong
    return done


def as_recorded(source: str, format: Format) -> str:
    """A source as ``read_done`` finds it in a file."""
    if format == "jsonl":
        return source
    return _one_line(source).encode("utf-8", ESCAPES).decode()
