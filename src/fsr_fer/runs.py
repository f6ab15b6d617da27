"""What a long stage keeps beside its result: a place to go on from, and live curves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.errors import UserError
from fsr_fer.stage import Stage
from fsr_fer.training.checkpoint import STATE, Checkpoint, discard_finished, exclusive
from fsr_fer.training.record import Recorder, no_record

KEPT_SECONDS = 7 * 24 * 3600
"""How long an interrupted training is kept while other settings are trained."""


@contextlib.contextmanager
def checkpoint_of(stage: Stage, ranks: Ranks = ALONE) -> Iterator[Checkpoint]:
    """The stage's checkpoint, held for the time of the training; marked when it is through.

    Of several processes the first one has it, the others have one that keeps nothing.

    It lies below ``.ckpt`` of the main workspace (DVC_ROOT), where experiments run in a temporary
    folder find it too. What other params, data or code left there is removed after a week: a
    queue's other experiments may be waiting to go on from it. A finished one stays until
    ``forget_finished``: if DVC is stopped before it has recorded the result, the next ``dvc repro``
    runs the stage again, and the training is not lost.
    """
    if not ranks.first:
        yield Checkpoint(None)
        return
    own = checkpoint_folder(stage)
    with exclusive(own) as checkpoint:
        yield checkpoint
        for other in own.parent.iterdir():
            if other.is_dir() and other != own and _is_abandoned(other):
                shutil.rmtree(other, ignore_errors=True)
        checkpoint.finish()


@contextlib.contextmanager
def shared_work(stage: Stage, ranks: Ranks) -> Iterator[Path]:
    """A folder for what a stage has finished so far, kept as ``checkpoint_of`` keeps its own.

    Several processes share it; the first one holds it for all.
    """
    folder = checkpoint_folder(stage)
    if not ranks.first:
        yield folder
        return
    with checkpoint_of(stage):
        folder.mkdir(exist_ok=True)
        yield folder


def forget_finished(profile: str) -> None:
    """Delete what finished stages kept; for the last stage, when DVC has all the results."""
    discard_finished(_checkpoints(profile))


def _checkpoints(profile: str) -> Path:
    return Path(os.environ.get("DVC_ROOT", ".")) / ".ckpt" / profile


def checkpoint_folder(stage: Stage) -> Path:
    """Where a stage's checkpoint lies."""
    return _checkpoints(stage.profile) / stage.instance / stage.fingerprint()


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody has saved into this folder for long, nor trains into it just now."""
    state = folder / STATE
    try:
        saved = (state if state.exists() else folder).stat().st_mtime
    except FileNotFoundError:  # removed by its own process meanwhile
        return False
    return time.time() - saved > KEPT_SECONDS and not _in_use(folder)


def _in_use(folder: Path) -> bool:
    """Whether another process trains into this folder just now."""
    try:
        with exclusive(folder):
            return False
    except UserError:
        return True


@contextlib.contextmanager
def live_curves(folder: Path, ranks: Ranks = ALONE) -> Iterator[Recorder]:
    """A recorder that dvclive shows while the training runs: one TSV per term below ``folder``.

    Of several processes the first one records. Where there is no dvclive, the same numbers become
    lines of ``metrics.jsonl``, one ``{"step", "name", "value"}`` each.

    dvclive would rewrite dvc.yaml and make experiments of its own; both are switched off. Its
    metrics.json lives as long as the training: of a finished one, ``dvc exp show`` has accuracies
    to show, not the last value of every term.
    """
    if not ranks.first:
        yield no_record
        return
    try:
        from dvclive import Live  # slow to import
    except ImportError:  # a bare node
        with _json_lines(folder / "metrics.jsonl") as record_line:
            yield record_line
        return

    with Live(dir=str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def record(step: int, values: dict[str, float]) -> None:
            live.step = step
            for name, value in values.items():
                live.log_metric(name, value)
            live.make_summary()

        yield record
    (folder / "metrics.json").unlink(missing_ok=True)


@contextlib.contextmanager
def _json_lines(path: Path) -> Iterator[Recorder]:
    """A recorder that needs no library; a reader sees each step as soon as it is recorded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:

        def record(step: int, values: dict[str, float]) -> None:
            for name, value in values.items():
                file.write(json.dumps({"step": step, "name": name, "value": value}) + "\n")
            file.flush()

        yield record
