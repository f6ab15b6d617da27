"""Bytes of an earlier result: from DVC's cache by their hash, or else from the remote."""

from __future__ import annotations

import configparser
import hashlib
import io
from pathlib import Path

from fsr_fer.review.revisions import Revision


def find(revision: Revision, path: str, md5: str) -> bytes | None:
    """The file ``path`` of a revision, which dvc.lock says has this md5; None if nobody has it.

    What comes back has this md5: a file that was damaged or exchanged is as good as none.
    """
    cached = _cache(revision.root) / "files" / "md5" / md5[:2] / md5[2:]
    if cached.is_file():
        content = cached.read_bytes()
        if _md5(content) == md5:
            return content
    content_far = _from_remote(revision, path)
    return content_far if content_far is not None and _md5(content_far) == md5 else None


def _cache(root: Path) -> Path:
    """Where this clone's cache is; worktrees and clones may share one."""
    for name in ("config.local", "config"):
        config = configparser.ConfigParser(strict=False, interpolation=None)
        file = root / ".dvc" / name
        if file.is_file():
            # DVC indents keys, which configparser would read as a continued line.
            lines = file.read_text(encoding="utf-8").splitlines()
            config.read_file(io.StringIO("\n".join(line.strip() for line in lines)))
        if folder := config.get("cache", "dir", fallback=None):
            return root / ".dvc" / folder
    return root / ".dvc" / "cache"


def _from_remote(revision: Revision, path: str) -> bytes | None:
    """Through DVC, which knows every kind of remote; only here is it worth its import."""
    import logging

    try:
        from dvc.api import DVCFileSystem

        logging.getLogger("dvc").setLevel(logging.CRITICAL)
        files = DVCFileSystem(str(revision.root), rev=revision.commit)
        with files.open(path, "rb") as file:
            content: bytes = file.read()
    except Exception:
        # No remote, no network, no permission, not there: to the caller all the same.
        return None
    return content


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
