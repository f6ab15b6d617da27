"""Tracking of imported data with DVC, so that every result can be traced to its bytes."""

import re
from pathlib import Path

from fsr_fer.common.errors import UserError


def find_root() -> Path:
    """The nearest folder upwards with params.yaml and .dvc in it; UserError if there is none."""
    start = Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file() and (folder / ".dvc").is_dir():
            return folder
    raise UserError(
        f"{start} is not inside the project (no params.yaml with .dvc beside it, here or above); "
        "run this in the folder you cloned"
    )


def track_with_dvc(folder: Path, *, root: Path, push: bool) -> None:
    """Put ``folder`` (or a file) under DVC's control in ``root``; UserError quotes a refusal.

    With ``push=False`` the data never leaves this machine through ``dvc push``: for pictures whose
    licence forbids to pass them on.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.utils.serialize import modify_yaml

    file = folder.with_name(f"{folder.name}.dvc")
    before = file.read_bytes() if file.exists() else None
    said = ""
    try:
        with Repo(str(root)) as repo:
            added = repo.add(str(folder))
            # DVC logs what it could not copy, of a full disk say, and goes on.
            if any(out.changed_cache() for stage in added for out in stage.outs):
                said = "its cache lacks files; is the disk full?"
    except DvcException as error:
        said = re.sub(r"\x1b\[[\d;]*m", "", " ".join(str(error).split()))  # colours
    if said:
        if before is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(before)
        target = folder.relative_to(root).as_posix()
        raise UserError(
            f"{target} is there, but DVC does not track it: `dvc add {target}` says {said!r}; mend "
            "that and run it again"
        )
    if not push:
        with modify_yaml(f"{folder}.dvc") as content:
            content["outs"][0]["push"] = False
