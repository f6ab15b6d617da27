"""Repair of DVC's files after a killed run, before the next one."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import psutil

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing
from fsr_fer.pipeline.paths import LOCK_FILE
from fsr_fer.pipeline.profiles import parse_yaml
from fsr_fer.pipeline.provenance.revision import Revision

KEPT = Path(".runs/repro") / LOCK_FILE
CUT = KEPT.with_name("dvc.lock.cut")
RWLOCK = Path(".dvc/tmp/rwlock")
"""Where DVC notes which process reads or writes which path."""


def require_whole_lock(root: Path) -> None:
    """UserError if DVC cannot read dvc.lock."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    revision = Revision(root)
    _ = revision.lock
    if content := revision.read(LOCK_FILE.name):
        try:
            COMPILED_LOCKFILE_SCHEMA(parse_yaml(content, LOCK_FILE.name))
        except Invalid as error:
            raise UserError(
                f"DVC cannot read {LOCK_FILE}: {error}; `git checkout {LOCK_FILE}`"
            ) from None


def keep_lock(root: Path) -> None:
    """Keep a copy of dvc.lock, which must be whole: DVC writes it in place."""
    if (root / LOCK_FILE).exists():
        with replacing(root / KEPT) as part:
            shutil.copyfile(root / LOCK_FILE, part)


def recover(root: Path) -> None:
    """Restore a truncated dvc.lock, and release the locks of dead processes.

    No other process may run the pipeline meanwhile. The truncated dvc.lock is kept beside the copy.
    UserError if there is no copy, or a merge left its markers in it.
    """
    if not runs_a_stage(root):
        (root / RWLOCK).unlink(missing_ok=True)
    lock = root / LOCK_FILE
    content = lock.read_bytes() if lock.exists() else b""
    try:
        require_whole_lock(root)
        cut = bool(content) and not content.endswith(b"\n")  # in the middle of a hash, say
    except UserError:
        if b"<<<<<<<" in content or not (root / KEPT).exists():
            raise
        cut = True
    if cut and (root / KEPT).exists():
        os.replace(lock, root / CUT)
        shutil.copyfile(root / KEPT, lock)
        print(f"note: {LOCK_FILE} was cut off; the last whole one is back, the rest is {CUT}")
        require_whole_lock(root)


def runs_a_stage(root: Path) -> bool:
    """Whether a process that DVC's notes name lives."""
    try:
        notes = json.loads((root / RWLOCK).read_bytes())
        readers = [info for infos in notes.get("read", {}).values() for info in infos]
        return any(map(_lives, [*readers, *notes.get("write", {}).values()]))
    except (FileNotFoundError, ValueError, AttributeError, TypeError):  # cut off, say
        return False


def _lives(info: dict[str, Any]) -> bool:
    """Whether it is that process: its number may belong to another one by now."""
    try:
        process = psutil.Process(info["pid"])
        words = process.cmdline()
    except psutil.Error:
        return False
    return process.status() != psutil.STATUS_ZOMBIE and info["cmd"].split()[-1] in words
