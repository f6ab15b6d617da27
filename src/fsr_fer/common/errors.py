"""Errors that the user can fix: an exception for mistakes, one line for errors of the system."""

import errno
import os


class UserError(Exception):
    """An error that the user can fix: printed as one line, exit code 1.

    Every other exception is a bug of this project and keeps its traceback.
    """


def refusal(error: OSError) -> str:
    """What the system refused, in one line; empty if the error is not the system's."""
    if error.errno is None:
        return ""
    path = str(error.filename or "a file")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {path} could not be written; free some space on it, then go on"
    if error.errno == errno.ENOENT and os.path.islink(path):
        return (
            f"{path} leads to {os.readlink(path)}, which is not there: has DVC's cache moved, or "
            "is its disk not mounted?"
        )
    if error.errno == errno.ENOENT:
        return f"{path}: no such file; `dvc repro` writes what stages write"
    return f"{path}: {error.strerror}"
