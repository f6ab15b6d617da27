"""Atomic writing: no reader and no crash ever sees half of a file."""

import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError, refusal


def part_of(path: Path) -> Path:
    """Where ``replacing`` has its file or folder written; Git and DVC ignore it."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes ``path`` if no error occurs.

    The parent folder is created. On an error (a full disk is a UserError) ``path`` stays as it was.
    Works for a file and for a folder, which the caller makes; a folder replaces a folder.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        yield part
        if part.is_dir():
            _remove(path)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # else this would hide the error
            _remove(part)
        if isinstance(error, OSError):
            if error.filename == str(part):
                error.filename = str(path)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UserError(refusal(OSError(error.errno, "", str(path)))) from error
        raise


@contextlib.contextmanager
def exclusive(folder: Path, what: str) -> Iterator[None]:
    """Hold ``folder`` for this process alone; UserError if another one, ``what``, holds it.

    Killing ``dvc`` can leave its training running; a second one must not write beside it. The
    operating system's lock ends with the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{what} is already running (it holds {lock.name}); wait for it or stop it"
            ) from None
        yield


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends, all of it or nothing."""
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8"))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as UTF-8 with Unix line ends, all of it or nothing; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON with sorted keys; ValueError if a NaN or an infinity is in it."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """What ``write_json`` wrote; an empty dict if the file is missing or damaged."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return values


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
