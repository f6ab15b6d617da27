"""Tables of labels: found among a source's files, read as text, line by line."""

import contextlib
import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import PurePosixPath

from fsr_fer.common.errors import UserError
from fsr_fer.data.archive import UNREADABLE, Files, UnreadableFileError


def outermost(files: Files, *names: str) -> str | None:
    """Of the files with one of these names the one in the fewest folders; None if there is none.

    UserError if several of one name are in equally few: they belong to different sets.
    """
    found = [PurePosixPath(path) for path in files.names if PurePosixPath(path).name in names]
    found.sort(key=lambda path: len(path.parts))
    for first, other in itertools.pairwise(found[:2]):
        if first.name == other.name and len(first.parts) == len(other.parts):
            raise UserError(f"{files.path} holds {first} and {other}; name the folder of one")
    return str(found[0]) if found else None


def read_table(files: Files, name: str) -> bytes:
    """The whole table; UserError if it cannot be read."""
    try:
        return files.read(name)
    except UnreadableFileError as error:
        raise UserError(f"{files.path}: {name} {error}") from error


def first_cells(files: Files, name: str) -> list[str]:
    """The cells of the first line in lower case; empty if the file cannot be read."""
    with contextlib.suppress(UserError, *UNREADABLE), files.open(name) as content:
        start = content.read(1000).decode("utf-8-sig", "replace")
        return [cell.casefold() for cell in cells((start.splitlines() or [""])[0], name)]
    return []


def lines(files: Files, name: str) -> Iterator[tuple[int, str]]:
    """The lines of a table of any size, numbered from 1; UserError if one is no text."""
    number = 0
    try:
        with files.open(name) as content:
            text = io.TextIOWrapper(content, "utf-8-sig", "surrogateescape")
            for number, line in enumerate(text, start=1):
                line.encode()
                yield number, line
    except UnicodeEncodeError:
        raise UserError(f"{name}:{number} is not UTF-8 text") from None
    except UNREADABLE as error:
        raise UserError(f"{files.path}: {name} cannot be read: {error}") from error


def cells(line: str, where: str) -> list[str]:
    """The cells of one line, stripped; UserError if a quote does not close in it."""
    try:
        found = next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise UserError(f"{where}: {error}; expected comma-separated cells") from None
    return [cell.strip() for cell in found]
