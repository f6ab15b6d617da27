"""Files of a folder or of a zip in one form; a zip is read in place, never unpacked.

Names are relative, with forward slashes, sorted, without hidden files. ``refused`` are names that
lead out of the root, are no UTF-8, occur twice in an archive or are links in a tar to no file of
it, each with the reason.
"""

from __future__ import annotations

import contextlib
import errno
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from fsr_fer.common.errors import UserError, refusal

MAXIMUM_FILE_BYTES = 256 * 2**20
"""No picture of a face is larger; a zip entry that claims to be is not opened."""

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

UTF8_NAME = 0x800
"""The flag of a zip's entry whose name is UTF-8; zipfile takes others for code page 437."""
ENCRYPTED = 1
"""The flag of a zip's entry that needs a password."""

_JUNK = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}


class UnreadableFileError(Exception):
    """One file could not be read; the message says why."""


class FolderFiles:
    """The files below a folder, ``path``; links to folders are followed, but not in a cycle.

    With ``only`` just those of these names that exist; no others are looked at.
    """

    def __init__(self, path: Path, only: Iterable[str] | None = None) -> None:
        self.path = path
        found, self.refused = [], dict[str, str]()
        named = (str(path / name) for name in only or () if (path / name).is_file())
        for file in _files_below(path) if only is None else named:
            name = Path(file).relative_to(path)
            shown = _as_utf8(str(name))
            if shown == str(name):
                found.append(name.as_posix())
            else:
                self.refused[shown] = "is no name in UTF-8"
        self.names = tuple(sorted(found))

    def read(self, name: str) -> bytes:
        """The whole content; UnreadableFileError if it is missing or far too large."""
        try:
            with self.open(name) as file:
                if os.fstat(file.fileno()).st_size > MAXIMUM_FILE_BYTES:
                    raise UnreadableFileError("is far too large for a picture")
                return file.read()
        except OSError as error:
            raise UnreadableFileError(f"cannot be read: {error.strerror}") from error

    def open(self, name: str) -> IO[bytes]:
        """The content as a stream, for a table of any size."""
        file = self.path / name
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would never end
            raise UnreadableFileError("is no regular file")
        return open(file, "rb")

    def open_zip(self, name: str) -> ZipFiles:
        """A zip in this folder; UserError if it is damaged."""
        try:
            return ZipFiles(self.path / name, self.open(name))
        except UnreadableFileError as error:
            raise UserError(f"{self.path / name} {error}") from error


UNREADABLE: tuple[type[Exception], ...] = (
    UnreadableFileError,
    OSError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,  # a password is needed, or a method that zipfile does not know
)
"""What reading a folder, a tar, or a zip of any bytes raises."""


class ZipFiles:
    """The entries of the zip ``path``, or of one inside it, whose bytes are ``content``."""

    def __init__(self, path: Path, content: IO[bytes] | None = None) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(content or path)
        except UNREADABLE as error:
            raise UserError(f"{path} is not a zip file, or a damaged one: {error}") from error
        self.refused = dict[str, str]()
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.filename
            if not info.flag_bits & UTF8_NAME:  # Info-ZIP and macOS write UTF-8 without saying so
                with contextlib.suppress(UnicodeError):
                    name = name.encode("cp437").decode()
            # As some tools write them: "./train/1.png", on Windows with backslashes.
            name = PurePosixPath(name.replace("\\", "/")).as_posix()
            if info.filename.endswith(("/", "\\")) or _is_within_junk(name):
                continue
            if escapes(name):
                self.refused[info.filename] = "leads out of the archive"
            elif name in self._entries:
                self.refused[info.filename] = "is in the archive twice"
            else:
                self._entries[name] = info
        self.names = tuple(sorted(self._entries))

    def read(self, name: str) -> bytes:
        """The whole content; UnreadableFileError also if it is damaged or encrypted."""
        if self._entries[name].file_size > MAXIMUM_FILE_BYTES:
            raise UnreadableFileError("is far too large for a picture")
        try:
            with self.open(name) as file:
                return file.read()
        except UNREADABLE as error:
            raise UnreadableFileError(f"cannot be read in the archive: {error}") from error

    def open(self, name: str) -> IO[bytes]:
        """The content as a stream, for a table of any size."""
        if self._entries[name].flag_bits & ENCRYPTED:
            raise UnreadableFileError("it is encrypted; unpack it with its password first")
        return self._zip.open(self._entries[name])

    def open_zip(self, name: str) -> ZipFiles:
        """A zip inside this zip, through a copy on disk, in which it can seek."""
        try:
            with temporary_copy() as copy, self.open(name) as packed:
                shutil.copyfileobj(packed, copy, 2**20)
        except UNREADABLE as error:
            raise UserError(
                f"{self.path}: {name} cannot be read in the archive: {error}"
            ) from error
        return ZipFiles(self.path / name, copy)


Files = FolderFiles | ZipFiles


def open_files(path: Path) -> Files:
    """Open a folder, a zip or a tar; UserError if ``path`` is none, missing or damaged."""
    if path.is_dir():
        return FolderFiles(path)
    if not path.exists():
        raise UserError(
            f"{path} does not exist; give the folder or the archive that holds the faces"
        )
    if not is_archive(path):
        raise UserError(f"{path} is neither a folder nor a zip or tar file")
    return _open_tar(path) if path.name.lower().endswith(TAR_SUFFIXES) else ZipFiles(path)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, or called one."""
    suffixes = (".zip", *TAR_SUFFIXES)
    return path.is_file() and (path.name.lower().endswith(suffixes) or zipfile.is_zipfile(path))


def _open_tar(path: Path) -> ZipFiles:
    """The files in a tar, through a zip on disk, in which one can seek."""
    refused: dict[str, str] = {}
    try:
        with (
            temporary_copy() as copy,
            tarfile.open(path) as tar,
            zipfile.ZipFile(copy, "w") as packed,
        ):
            for member in tar:
                if _is_within_junk(member.name):
                    continue
                shown = _as_utf8(member.name)
                try:
                    content = tar.extractfile(member)
                except KeyError:
                    refused[shown] = f"links to {member.linkname}, which is not in the tar"
                    continue
                if content and shown != member.name:
                    refused[shown] = "is no name in UTF-8"
                elif member.name in packed.NameToInfo:
                    refused[shown] = "is in the archive twice"
                elif content:
                    with packed.open(member.name, "w", force_zip64=True) as target:
                        shutil.copyfileobj(content, target, 2**20)
                elif member.issym():
                    refused[shown] = f"links to the folder {member.linkname}; pack its files"
    except UNREADABLE as error:
        reason = str(error).partition(":\n")[0]  # what each compression says follows
        raise UserError(f"{path} is not a tar file, or a damaged one: {reason}") from error
    files = ZipFiles(path, copy)
    files.refused |= refused
    return files


@contextlib.contextmanager
def temporary_copy() -> Iterator[IO[bytes]]:
    """A file on disk that lives as long as it is in use; UserError if that disk is full."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - a zip still reads it
    try:
        yield copy
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(refusal(OSError(error.errno, "", tempfile.gettempdir()))) from error


def escapes(name: str) -> bool:
    """Whether a relative name would lead out of its root (absolute, a drive, or ``..``)."""
    plain = name.replace("\\", "/")
    return bool(re.match(r"/|[A-Za-z]:", plain)) or ".." in plain.split("/")


class ZipWriter(zipfile.ZipFile):
    """Packs files one after the other, uncompressed, the same bytes for the same files."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, "w")

    def add(self, name: str, data: bytes) -> None:
        """Write one file with fixed date and permissions."""
        info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # the earliest a zip can say
        info.create_system = 3  # Unix on every system
        info.external_attr = 0o644 << 16
        self.writestr(info, data)


def _as_utf8(name: str) -> str:
    """A name of the system's, with the bytes that are no UTF-8 written out in hexadecimal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _files_below(top: Path) -> Iterator[str]:
    waiting = [(str(top), frozenset[str]())]
    while waiting:
        folder, above = waiting.pop()
        real = os.path.realpath(folder)
        if real in above:  # a link in a circle
            continue
        for entry in os.scandir(folder):
            if entry.is_dir() and not _is_junk(entry.name):
                waiting.append((entry.path, above | {real}))
            elif not _is_junk(entry.name):
                yield entry.path


def _is_within_junk(path: str) -> bool:
    return any(_is_junk(part) for part in path.split("/") if part not in (".", ".."))


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _JUNK
