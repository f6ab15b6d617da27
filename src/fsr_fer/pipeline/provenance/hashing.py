"""MD5 of files and folders, as DVC computes what it writes into dvc.lock, and keys of runs."""

import fnmatch
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

IGNORE_FILE = Path(".dvcignore")


def run_key(instance: str, values: Mapping[str, Any], inputs: Mapping[str, str], code: str) -> str:
    """A key made of all that a stage's result depends on."""
    text = json.dumps([instance, dict(values), dict(inputs), code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def md5_of_bytes(content: bytes) -> str:
    """MD5 of bytes in memory."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def hashes_of(paths: Iterable[Path]) -> dict[str, str]:
    """MD5 of files and folders of the current folder, by path; "missing" where nothing is."""
    return {path.as_posix(): _md5(path) for path in paths}


def files_below(folder: Path) -> dict[str, str]:
    """MD5 of each file of a folder by the path below it, without what .dvcignore names.

    Only patterns for names are known (``*.part``, ``__pycache__/``), and the one in the current
    folder.
    """
    text = IGNORE_FILE.read_text(encoding="utf-8") if IGNORE_FILE.is_file() else ""
    ignored = [line.rstrip("/") for line in text.splitlines() if not line.startswith("#")]

    def counts(name: str) -> bool:
        return not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored)

    found = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = filter(counts, folders)
        for name in filter(counts, names):
            file = Path(parent, name)
            found[file.relative_to(folder).as_posix()] = _md5(file)
    return found


def _md5(path: Path) -> str:
    if path.is_dir():
        # DVC hashes the JSON of the list, sorted by path.
        listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files_below(path).items())]
        return md5_of_bytes(json.dumps(listing).encode()) + ".dir"
    if not path.is_file():
        return "missing"
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()
