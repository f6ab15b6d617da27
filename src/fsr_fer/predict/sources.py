"""The pictures of a user's sources: files, folders, globs, lists."""

import glob
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import cast

from fsr_fer.common.errors import UserError
from fsr_fer.data.images import SUFFIXES
from fsr_fer.predict.pictures import LARGEST_FILE, Picture, as_text
from fsr_fer.predict.videos import SUFFIXES as VIDEOS

STDIN = "-"
UNREAD = (".heic", ".heif", ".avif")
"""Photographs of phones: none can be read, and in a folder none is passed over in silence."""
Found = tuple[str, str | bytes, str]
"""A picture's name, its content or path, and a problem if there is one."""


def find_pictures(sources: Iterable[str], drawn: Path | None = None) -> Iterator[Picture]:
    """Every picture of the sources, numbered from 1; no list is held whole.

    A source is a file, a folder (its pictures and videos, and its folders'), a glob, ``-`` for a
    picture on standard input, or ``@FILE`` for a list, which has a path on each line. The order is
    the same on every machine. What cannot be found is a picture with a problem. What lies in the
    folder ``drawn``, where predictions are drawn on pictures, is left out. UserError if a list
    cannot be read.
    """
    found = (picture for source in sources for picture in _source(source, drawn))
    for number, (name, content, problem) in enumerate(found, 1):
        yield Picture(number=number, source=name, content=content, problem=problem)


def _source(source: str, drawn: Path | None) -> Iterator[Found]:
    if source == STDIN:
        with _stdin() as stream:  # closed, so that a second one is told
            content = stream.read(LARGEST_FILE + 1)
        problem = f"has more than {LARGEST_FILE:,} bytes" if len(content) > LARGEST_FILE else ""
        yield STDIN, b"" if problem else content, problem
    elif source.startswith("@"):
        yield from _list(source[1:])
    elif os.path.isdir(source):
        yield from _folder(source, drawn)
    elif glob.has_magic(source) and not os.path.lexists(source):
        matches = sorted(glob.glob(source, recursive=True))
        left_out = cache(lambda folder: _lies_in(folder, drawn))
        read = [match for match in matches if not left_out(os.path.dirname(match))]
        found = itertools.chain.from_iterable(
            _folder(match, drawn) if os.path.isdir(match) else [(match, match, "")]
            for match in read
        )
        # ** matches folders and what lies in them; what others match need not be remembered.
        yield from dict.fromkeys(found) if "**" in source else found
        if not read:
            drawings = "only what is drawn" if matches else "no file"
            yield source, source, f"matches {drawings}"
    else:
        yield source, source, ""


def _stdin() -> io.BufferedReader:
    if sys.stdin is None or sys.stdin.closed:
        raise UserError("standard input is closed, or was read already")
    return cast(io.BufferedReader, sys.stdin.buffer)


def _lies_in(path: str, folder: Path | None) -> bool:
    return folder is not None and Path(path).resolve().is_relative_to(folder.resolve())


def _folder(folder: str, drawn: Path | None) -> Iterator[Found]:
    if _lies_in(folder, drawn):
        return
    found = _below(folder, drawn)
    nothing = f"holds no picture or video ({', '.join(SUFFIXES + VIDEOS)})"
    yield next(found, (folder, folder, nothing))
    yield from found


def _below(folder: str, drawn: Path | None, above: tuple[str, ...] = ()) -> Iterator[Found]:
    real = os.path.realpath(folder)
    if real in above:
        yield folder, folder, "is a link to a folder that it lies in"
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name, _is_folder(entry)) for entry in entries)
    except OSError as error:
        yield folder, folder, f"cannot be read: {error.strerror}"
        return
    for name, is_folder in names:
        path = os.path.join(folder, name)
        if name.startswith("."):
            continue
        if is_folder and not _lies_in(path, drawn):
            yield from _below(path, drawn, (*above, real))
        elif not is_folder and name.lower().endswith(SUFFIXES + VIDEOS + UNREAD):
            yield path, path, ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # entry.is_dir() fails where a link leads in a circle.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _list(file: str) -> Iterator[Found]:
    try:
        stream = _stdin() if file == STDIN else open(file, "rb")  # noqa: SIM115
        with as_text(stream, f"the list {file}") as lines:
            for line in lines:
                name = line.rstrip("\n")
                if name.strip():
                    yield name, name, ""
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        said = getattr(error, "strerror", None) or error
        raise UserError(f"the list {file or '@'} cannot be read: {said}") from None
