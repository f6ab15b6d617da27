"""The pictures of a user's sources: files, folders, globs, lists."""

import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from fsr_fer.common.errors import UserError
from fsr_fer.data.images import SUFFIXES
from fsr_fer.predict.pictures import Picture
from fsr_fer.predict.videos import SUFFIXES as VIDEOS

STDIN = "-"
KNOWN = SUFFIXES + VIDEOS


def find_pictures(
    sources: Iterable[str], lists: Iterable[str], drawn: Path | None = None
) -> Iterator[Picture]:
    """Every picture of the sources, then of the lists, numbered from 1; no list is held whole.

    A source is a file, a folder (its pictures and videos, and its folders'), a glob, ``-`` for a
    picture on standard input, or ``@FILE`` for a list, which has a path on each line. The order
    is the same on every machine. What cannot be found is a picture with a problem. What lies in
    the folder ``drawn``, where predictions are drawn on pictures, is left out.

    Raises:
        UserError: a list cannot be read.
    """
    number = 0
    for source in (*sources, *(f"@{file}" for file in lists)):
        for content, problem in _source(source, drawn):
            number += 1
            name = STDIN if isinstance(content, bytes) else content
            yield Picture(number=number, source=name, content=content, problem=problem)


def _source(source: str, drawn: Path | None) -> Iterator[tuple[str | bytes, str]]:
    """Paths or bytes, each with what is wrong with it if that is known."""
    if source == STDIN:
        yield _stdin().read(), ""
        return
    if source.startswith("@"):
        yield from _list(source[1:])
        return
    if os.path.isdir(source):
        paths = _below(source)
        nothing = f"holds no picture or video ({', '.join(KNOWN)})"
    elif glob.has_magic(source) and not os.path.lexists(source):
        matches = sorted(glob.glob(source, recursive=True))
        paths = (
            one
            for match in matches
            for one in (_below(match) if os.path.isdir(match) else [(match, "")])
        )
        nothing = "matches no file"
    else:
        yield source, ""
        return
    for path, problem in paths:
        if drawn and Path(path).parent.resolve().is_relative_to(drawn.resolve()):
            continue
        nothing = ""
        yield path, problem
    if nothing:
        yield source, nothing


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise UserError("standard input is closed, or was read already")
    return sys.stdin.buffer


def _below(folder: str, above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """The pictures and videos in a folder and its folders; links are followed."""
    real = os.path.realpath(folder)
    if real in above:
        yield folder, "is a link to a folder that it lies in"
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name, _is_folder(entry)) for entry in entries)
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror}"
        return
    for name, is_folder in names:
        path = os.path.join(folder, name)
        if is_folder and not name.startswith("."):
            yield from _below(path, (*above, real))
        elif not name.startswith(".") and name.lower().endswith(KNOWN):
            yield path, ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # entry.is_dir() fails where a link leads in a circle.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _list(file: str) -> Iterator[tuple[str, str]]:
    try:
        # A name may be any bytes: what is not UTF-8 comes back as the same bytes.
        stream = _stdin() if file == STDIN else open(file, "rb")  # noqa: SIM115
        with io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape") as lines:
            yield from ((name, "") for line in lines if (name := line.rstrip("\n")).strip())
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        said = getattr(error, "strerror", None) or error
        raise UserError(f"the list {file or '@'} cannot be read: {said}") from None
