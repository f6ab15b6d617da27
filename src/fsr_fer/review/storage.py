"""Bytes of an earlier result: from DVC's cache by their hash, or else from the remote."""

from __future__ import annotations

from fsr_fer.provenance.cache import cached_object
from fsr_fer.provenance.hashing import md5_of_bytes
from fsr_fer.review.revisions import Revision


def find(revision: Revision, path: str, md5: str) -> bytes | None:
    """The file ``path`` of a revision, which dvc.lock says has this md5; None if nobody has it.

    What comes back has this md5: a file that was damaged or exchanged is as good as none.
    """
    cached = cached_object(revision.root, md5)
    if cached is not None and md5_of_bytes(cached) == md5:
        return cached
    content_far = _from_remote(revision, path)
    return content_far if content_far is not None and md5_of_bytes(content_far) == md5 else None


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
