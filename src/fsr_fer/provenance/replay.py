"""Running a stage again in a scratch folder, and comparing what it makes with what is there.

It believes nobody: not dvc.lock, not a cache, not a record. The scratch folder holds copies of the
files that Git tracks, as they are in the workspace, and of the stage's inputs; DVC is not asked.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fsr_fer.errors import UserError
from fsr_fer.git import git_bytes
from fsr_fer.provenance.hashing import ignore_rules, list_files
from fsr_fer.provenance.lineage import Lineage
from fsr_fer.provenance.pipeline import Definition, Snapshot, overlap

SAME, CLOSE, CHANGED = "same bytes", "same within tolerance", "changed"
ABSOLUTE_TOLERANCE = 1e-6
SHOWN_LINES = 5
"""How many lines of a failed command are quoted."""


@dataclass(frozen=True)
class Replayed:
    """How one output of a stage came out again; ``detail`` says what differs most."""

    stage: str
    path: str
    outcome: str
    detail: str = ""


def replay(root: Path, names: Iterable[str], tolerance: float) -> Iterator[Replayed]:
    """Run stages again, each on the workspace's own inputs, and compare every output.

    Fractional numbers in JSON, CSV, TSV, .npy and .safetensors may differ by ``tolerance``,
    relative, or by 1e-6 absolute; everything else must be the same, whole numbers too.

    Raises:
        UserError: an input is missing, a command fails, or the workspace is not a Git one.
    """
    lineage = Lineage(Snapshot(root))
    tracked = _tracked(root)
    for name in names:
        stage = lineage.stages[name]
        with tempfile.TemporaryDirectory(prefix="fsr-fer-replay-") as folder:
            scratch = Path(folder)
            _fill(scratch, root, stage, tracked)
            _run(scratch, stage)
            for out in stage.outs:
                outcome, detail = compare(root / out, scratch / out, tolerance, root)
                yield Replayed(name, out, outcome, detail)


def _tracked(root: Path) -> list[str]:
    listing = git_bytes(root, "ls-files", "-z")
    if listing is None:
        raise UserError("a replay copies the files that Git tracks, and this is no Git repository")
    return [path for path in listing.decode().split("\0") if path]


def _fill(scratch: Path, root: Path, stage: Definition, tracked: Sequence[str]) -> None:
    """Copies, not links: whatever the command does, it cannot touch the workspace."""
    for path in tracked:
        if not any(overlap(out, path) for out in stage.outs):
            _copy(root / path, scratch / path, missing_is_fine=True)
    for dep in stage.deps:
        _copy(root / dep, scratch / dep)
    for out in stage.outs:
        _remove(scratch / out)
        (scratch / out).parent.mkdir(parents=True, exist_ok=True)


def _copy(source: Path, target: Path, *, missing_is_fine: bool = False) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    elif not missing_is_fine:
        raise UserError(f"{source} is not here, a replay needs it; `dvc checkout` or `dvc pull`")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _run(scratch: Path, stage: Definition) -> None:
    environment = dict(os.environ)
    # The scratch folder's own code and this environment's Python, whatever else is installed.
    environment["PYTHONPATH"] = str(scratch / "src")
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment["DVC_ROOT"] = str(scratch)
    environment["DVC_STAGE"] = stage.name
    for command in stage.cmd.splitlines():
        done = subprocess.run(
            command,
            shell=True,
            cwd=scratch,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            said = " | ".join(line for line in done.stdout.splitlines()[-SHOWN_LINES:] if line)
            raise UserError(
                f"replay of {stage.name}: `{command}` ended with {done.returncode}: {said}"
            )


def compare(before: Path, after: Path, tolerance: float, root: Path) -> tuple[str, str]:
    """How an output came out again, and what is different: for a folder, its worst file."""
    if not before.exists():
        return CHANGED, "the workspace has none"
    if not after.exists():
        return CHANGED, "the replay made none"
    if before.is_dir() != after.is_dir():
        return CHANGED, "a file became a folder, or a folder a file"
    if not before.is_dir():
        return _compare_files(before, after, tolerance)
    ignored = ignore_rules(root)
    old = {path.relative_to(before) for path in list_files(before, ignored)}
    new = {path.relative_to(after) for path in list_files(after, ignored)}
    if old != new:
        return CHANGED, f"files differ: {', '.join(sorted(map(str, old ^ new)))}"
    results = [(path, *_compare_files(before / path, after / path, tolerance)) for path in old]
    for outcome in (CHANGED, CLOSE):
        found = sorted((str(path), detail) for path, is_, detail in results if is_ == outcome)
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            return outcome, f"{found[0][0]}{more}: {found[0][1]}"
    return SAME, ""


def _compare_files(before: Path, after: Path, tolerance: float) -> tuple[str, str]:
    old, new = before.read_bytes(), after.read_bytes()
    if old == new:
        return SAME, ""
    readers = {
        ".json": _read_json,
        ".csv": _read_table,
        ".tsv": _read_table,
        ".npy": _read_array,
        ".safetensors": _read_tensors,
    }
    reader = readers.get(before.suffix)
    if reader is None:
        return CHANGED, "other bytes"
    try:
        (old_form, old_numbers), (new_form, new_numbers) = reader(old), reader(new)
    except (ValueError, KeyError, EOFError) as error:
        return CHANGED, f"not readable ({error})"
    if old_form != new_form or old_numbers.shape != new_numbers.shape:
        return CHANGED, "other text, keys, shapes or whole numbers"
    with np.errstate(invalid="ignore"):  # NaN and infinities are compared, not computed with
        worst = float(np.nanmax(np.abs(old_numbers - new_numbers), initial=0.0))
    close = np.allclose(
        new_numbers, old_numbers, rtol=tolerance, atol=ABSOLUTE_TOLERANCE, equal_nan=True
    )
    count = int(np.sum(old_numbers != new_numbers))
    detail = f"{count} of {old_numbers.size} numbers differ, by {worst:.3g} at most"
    return (CLOSE if close else CHANGED), detail


def _read_json(content: bytes) -> tuple[Any, np.ndarray]:
    numbers: list[float] = []

    def form(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: form(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [form(inner) for inner in value]
        if isinstance(value, float):
            numbers.append(value)
            return None
        return json.dumps(value)

    return form(json.loads(content)), np.array(numbers, np.float64)


def _read_table(content: bytes) -> tuple[Any, np.ndarray]:
    text = content.decode("utf-8")
    numbers: list[float] = []

    def form(cell: str) -> str | None:
        try:
            number = float(cell)
        except ValueError:
            return cell
        if cell.strip().lstrip("+-").isdigit():
            return cell
        numbers.append(number)
        return None

    lines = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text else ",")
    return [[form(cell) for cell in line] for line in lines], np.array(numbers, np.float64)


def _read_array(content: bytes) -> tuple[Any, np.ndarray]:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    return _array_form(array)


def _read_tensors(content: bytes) -> tuple[Any, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__")
    forms = {name: _array_form(tensors[name]) for name in sorted(tensors)}
    form = (metadata, {name: form for name, (form, _) in forms.items()})
    return form, np.concatenate([np.empty(0), *(numbers for _, numbers in forms.values())])


def _array_form(array: np.ndarray) -> tuple[Any, np.ndarray]:
    if array.dtype.kind != "f":
        return (array.shape, str(array.dtype), array.tobytes()), np.empty(0)
    return (array.shape, str(array.dtype)), array.astype(np.float64, copy=False).ravel()
