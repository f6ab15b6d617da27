"""Handing imported data to DVC, so that every result can name the bytes it came from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from fsr_fer.errors import UserError
from fsr_fer.files import write_text
from fsr_fer.yaml12 import load_yaml


def find_root(start: Path) -> Path:
    """The project a folder belongs to: the nearest one upwards with params.yaml and .dvc in it.

    Raises:
        UserError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file() and (folder / ".dvc").is_dir():
            return folder
    raise UserError(
        f"{start} is not inside the project (no params.yaml with .dvc beside it, here or above); "
        "run this in the folder you cloned"
    )


def check_lock(path: Path) -> None:
    """Find out whether dvc.lock is whole; a project without one is fine.

    DVC writes it in place, after every stage: a process that ends meanwhile leaves half of it, and
    DVC's own words for that name a line and a column, not the way out.

    Raises:
        UserError: it was cut off.
    """
    if not path.is_file():
        return
    try:
        content = load_yaml(path.read_bytes())
        entries = [
            entry
            for stage in content["stages"].values()
            for entry in stage.get("deps", []) + stage.get("outs", [])
        ]
        whole = all(
            isinstance(entry.get("size", 0), int) and None not in entry.values()
            for entry in entries
        )
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(
            f"{path.name} was cut off while DVC wrote it; delete it or `git checkout {path.name}`, "
            "then DVC brings all finished stages back from its cache"
        )


def track_with_dvc(folder: Path, *, root: Path, push: bool) -> Path:
    """Put ``folder`` (or a file) under DVC's control in ``root``; the result is its .dvc file.

    With ``push=False`` the data never leaves this machine through ``dvc push``: for pictures whose
    licence forbids to pass them on.

    Raises:
        UserError: DVC refuses; the message quotes it.
    """
    target = folder.relative_to(root).as_posix()
    command = [sys.executable, "-m", "dvc", "add", target]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(
            f"{target} is there, but DVC does not track it: `dvc add {target}` says "
            f"{_first_error(done.stderr or done.stdout)!r}; mend that and run it again"
        )
    tracked = folder.with_name(folder.name + ".dvc")
    if not push:
        _forbid_push(tracked)
    return tracked


def _first_error(output: str) -> str:
    """The line that says most: the first that DVC marks as an error, or else the first."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("ERROR")]
    return (marked or lines or ["nothing"])[0]


def _forbid_push(tracked: Path) -> None:
    content = yaml.safe_load(tracked.read_text(encoding="utf-8"))
    for out in content["outs"]:
        out["push"] = False
    write_text(tracked, yaml.safe_dump(content, sort_keys=False))
