"""Hashes of the workspace's files, remembered between commands while a file stays as it is."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from fsr_fer.errors import UserError
from fsr_fer.files import write_text
from fsr_fer.provenance.hashing import Content, ignore_rules, md5_of_file, measure

CACHE_FILE = Path(".dvc/tmp/fsr-fer-hashes.json")
SETTLED_SECONDS = 2.0
"""Younger files are not remembered: the next edit could leave time and size the same."""


class WorkspaceHashes:
    """Contents of paths below ``root``.

    With ``remember``, a file whose size, times and inode are those of last time is not read again.
    Whoever sets the modification time back still changes the inode's own time, which is compared
    too; without ``remember``, every byte is read.
    """

    def __init__(self, root: Path, *, remember: bool) -> None:
        self._root = root
        self._remember = remember
        self._ignored = ignore_rules(root)
        self._contents: dict[str, Content | None] = {}
        self._md5s: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._fresh: dict[str, str] = {}
        if remember:
            with contextlib.suppress(OSError, ValueError):
                known = json.loads((root / CACHE_FILE).read_text(encoding="utf-8"))
                self._known = known if isinstance(known, dict) else {}

    def content(self, path: str) -> Content | None:
        """Content of a path relative to the root; None if nothing is there.

        Raises:
            UserError: it cannot be read.
        """
        if path not in self._contents:
            try:
                self._contents[path] = measure(self._root / path, self._ignored, self._md5)
            except OSError as error:
                raise UserError(f"{path} cannot be read: {error.strerror}") from None
        return self._contents[path]

    def files(self, folder: str) -> dict[str, str]:
        """MD5 of every file of a folder that has been measured, by the path below it."""
        prefix = f"{self._root / folder}/"
        return {p.removeprefix(prefix): m for p, m in self._md5s.items() if p.startswith(prefix)}

    def save(self) -> None:
        """Remember what was read; whether that works is of no importance."""
        if self._remember and self._fresh:
            with contextlib.suppress(OSError, UserError):
                write_text(self._root / CACHE_FILE, json.dumps({**self._known, **self._fresh}))

    def _md5(self, path: Path) -> str:
        name = str(path)
        if name not in self._md5s:
            stat = os.stat(path)
            stamp = f"{name}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}|{stat.st_ino}"
            md5 = self._known.get(stamp)
            if md5 is None:
                md5 = md5_of_file(path)
                if time.time() - max(stat.st_mtime, stat.st_ctime) > SETTLED_SECONDS:
                    self._fresh[stamp] = md5
            self._md5s[name] = md5
        return self._md5s[name]
