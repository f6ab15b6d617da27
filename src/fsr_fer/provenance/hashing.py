"""MD5 of files and folders, exactly as DVC computes what it writes into dvc.lock."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER_SUFFIX = ".dir"
IGNORE_FILE = ".dvcignore"


@dataclass(frozen=True)
class Content:
    """What is at a path: MD5 (a folder's has DVC's suffix .dir), bytes, and files in a folder."""

    md5: str
    size: int
    nfiles: int | None = None


def md5_of_file(path: Path) -> str:
    """MD5 of the bytes of a file."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()


def md5_of_bytes(content: bytes) -> str:
    """MD5 of bytes in memory."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5_of_listing(files: Iterable[tuple[str, str]]) -> str:
    """MD5 of a folder from the path below it and the MD5 of each of its files.

    DVC hashes the JSON of the list, sorted by path.
    """
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files)]
    return md5_of_bytes(json.dumps(listing, sort_keys=True).encode("utf-8")) + FOLDER_SUFFIX


def measure(
    path: Path, ignored: Callable[[str, bool], bool], md5: Callable[[Path], str] = md5_of_file
) -> Content | None:
    """Content of the file or folder ``path``; None if nothing is there.

    ``ignored`` (of ``ignore_rules``) says which files of a folder do not count.
    """
    if not path.is_dir():
        return Content(md5(path), path.stat().st_size) if path.is_file() else None
    files = list_files(path, ignored)
    return Content(
        md5_of_listing((file.relative_to(path).as_posix(), md5(file)) for file in files),
        sum(file.stat().st_size for file in files),
        len(files),
    )


def hashes_of(paths: Iterable[Path]) -> dict[str, str]:
    """MD5 of files and folders of the current folder, by path; "missing" where nothing is."""
    ignored = ignore_rules(Path())
    contents = {path.as_posix(): measure(path, ignored) for path in paths}
    return {path: content.md5 if content else "missing" for path, content in contents.items()}


def list_files(folder: Path, ignored: Callable[[str, bool], bool]) -> list[Path]:
    """All files below a folder that DVC counts."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not ignored(f"{parent}/{name}", True)]
        found += [Path(parent, name) for name in names if not ignored(f"{parent}/{name}", False)]
    return found


def ignore_rules(root: Path) -> Callable[[str, bool], bool]:
    """Whether DVC ignores a path (second argument: it is a folder), by ``root``'s .dvcignore.

    Patterns for names (``*.part``, ``__pycache__/``) are matched here, for that is quick. Others
    are left to DVC's own library. Not known: .dvcignore files further down.
    """
    try:
        lines = (root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    patterns = [".git", ".hg", ".dvc", *lines]
    if any("/" in pattern.rstrip("/") or pattern.startswith(("!", "\\")) for pattern in lines):
        from pathspec import PathSpec  # slow to import

        spec = PathSpec.from_lines("gitwildmatch", patterns)

        def by_spec(path: str, is_folder: bool) -> bool:
            return spec.match_file(os.path.relpath(path, root) + "/" * is_folder)

        return by_spec

    def by_name(path: str, is_folder: bool) -> bool:
        name = path.rpartition("/")[2]
        return any(
            fnmatch.fnmatchcase(name, pattern.rstrip("/"))
            for pattern in patterns
            if is_folder or not pattern.endswith("/")
        )

    return by_name
