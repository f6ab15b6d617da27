"""Tables of labels: found among a source's files, read as text, line by line."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from fsr_fer.common.errors import UserError
from fsr_fer.data.archive import UNREADABLE, Files, UnreadableFileError


def outermost(files: Files, *names: str) -> str | None:
    """Of the files with one of these names the one in the fewest folders; None if there is none."""
    found = (path for path in files.names if PurePosixPath(path).name in names)
    return min(found, key=lambda path: (path.count("/"), path), default=None)


def read_table(files: Files, name: str) -> bytes:
    """The whole table; UserError if it cannot be read."""
    try:
        return files.read(name)
    except UnreadableFileError as error:
        raise UserError(f"{files.path}: {name} {error}") from error


def lines(content: bytes, name: str) -> list[str]:
    """The lines of a table; UserError if it is no text."""
    try:
        return re.split(r"\r\n|\n|\r", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start})") from error


def first_cells(files: Files, name: str) -> list[str]:
    """The cells of the first line in lower case; empty if the file cannot be read."""
    try:
        with files.open(name) as content:
            start = content.read(1000).decode("utf-8-sig", "replace")
    except UNREADABLE:
        return []
    return [cell.strip(' "').casefold() for cell in (start.splitlines() or [""])[0].split(",")]


def stream_lines(files: Files, name: str) -> Iterator[tuple[int, str]]:
    """The lines of a table of any size, each with its number from 1; UserError if it is no text."""
    try:
        with files.open(name) as content:
            yield from enumerate(io.TextIOWrapper(content, "utf-8-sig"), start=1)
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text: {error.reason}") from error
    except UNREADABLE as error:
        raise UserError(f"{files.path}: {name} cannot be read: {error}") from error


def cells(line: str, where: str) -> list[str]:
    """The cells of one line, stripped; UserError if a quote does not close in it."""
    try:
        found = next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise UserError(f"{where}: {error}; expected comma-separated cells") from None
    return [cell.strip() for cell in found]
