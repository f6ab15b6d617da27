"""Files of a folder or of a zip in one form; a zip is read in place, never unpacked.

Names are relative, with forward slashes and sorted; hidden files are left out. ``escaping`` are
names that point outside the root; they cannot be read.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from fsr_fer.common.errors import UserError

MAXIMUM_FILE_BYTES = 256 * 2**20
"""No picture of a face is larger; a zip entry that claims to be is not opened."""

_JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same bytes on every run


class UnreadableFileError(Exception):
    """One file could not be read; the message says why."""


class FolderFiles:
    """The files below a folder, ``path`` (links to folders are not followed)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.escaping: tuple[str, ...] = ()
        found = []
        for folder, folders, files in os.walk(path):
            folders[:] = [name for name in folders if not _is_junk(name)]
            base = Path(folder).relative_to(path)
            found += [(base / name).as_posix() for name in files if not _is_junk(name)]
        self.names = tuple(sorted(found))

    def read(self, name: str) -> bytes:
        """The whole content.

        Raises:
            UnreadableFileError: it is missing or far too large.
        """
        file = self.path / name
        try:
            if file.stat().st_size > MAXIMUM_FILE_BYTES:
                raise UnreadableFileError("is far too large for a picture")
            return file.read_bytes()
        except OSError as error:
            raise UnreadableFileError(f"cannot be read: {error.strerror or error}") from error

    def open_zip(self, name: str) -> ZipFiles:
        """A zip among these files."""
        return ZipFiles(self.path / name)


class ZipFiles:
    """The entries of the zip ``path``, or of one inside it, whose bytes are ``content``."""

    def __init__(self, path: Path, content: IO[bytes] | None = None) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(content or path)
        except zipfile.BadZipFile as error:
            raise UserError(f"{path} is not a zip file, or a damaged one: {error}") from error
        names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        self.escaping = tuple(sorted(name for name in names if escapes(name)))
        self.names = tuple(
            sorted(
                name
                for name in set(names) - set(self.escaping)
                if not any(_is_junk(part) for part in name.split("/"))
            )
        )

    def read(self, name: str) -> bytes:
        """The whole content.

        Raises:
            UnreadableFileError: it is missing, damaged, encrypted or far too large.
        """
        try:
            if self._zip.getinfo(name).file_size > MAXIMUM_FILE_BYTES:
                raise UnreadableFileError("is far too large for a picture")
            return self._zip.read(name)
        except KeyError as error:
            raise UnreadableFileError("is not in the zip") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise UnreadableFileError(f"is damaged inside the zip: {error}") from error
        except RuntimeError as error:  # zipfile's way of saying that a password is needed
            raise UnreadableFileError(f"cannot be read: {error}") from error

    def open_zip(self, name: str) -> ZipFiles:
        """A zip inside this zip, through an anonymous copy on disk (seeking needs a real file)."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the zip
        try:
            with self._zip.open(name) as packed:
                shutil.copyfileobj(packed, copy, 2**20)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise UserError(f"{self.path}: {name} is damaged inside the zip: {error}") from error
        return ZipFiles(self.path / name, copy)


Files = FolderFiles | ZipFiles


def open_files(path: Path) -> Files:
    """Open a folder or a zip.

    Raises:
        UserError: there is no such path, or it is another kind of file, or a damaged zip.
    """
    if path.is_dir():
        return FolderFiles(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; give the folder or the zip that holds the faces")
    if path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is neither a folder nor a zip file")
    return ZipFiles(path)


def escapes(name: str) -> bool:
    """Whether a relative name would lead out of its root (absolute, a drive, or ``..``)."""
    plain = name.replace("\\", "/")
    return (
        plain.startswith("/")
        or re.match(r"[A-Za-z]:", plain) is not None
        or ".." in PurePosixPath(plain).parts
    )


class ZipWriter:
    """Packs files one after the other, uncompressed, the same bytes for the same files."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)

    def add(self, name: str, data: bytes) -> None:
        info = zipfile.ZipInfo(name, _ZIP_DATE)
        info.create_system = 3  # Unix on every system, or the bytes would tell where they came from
        info.external_attr = 0o644 << 16
        self._zip.writestr(info, data)

    def __enter__(self) -> ZipWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in _JUNK
