"""What a training stage keeps beside its result: a checkpoint to go on from, and live curves."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fsr_fer.errors import UserError
from fsr_fer.params import Stage
from fsr_fer.training.checkpoint import Checkpoint, discard_finished, exclusive
from fsr_fer.training.record import Recorder


@contextlib.contextmanager
def checkpoint_of(stage: Stage) -> Iterator[Checkpoint]:
    """The stage's checkpoint, held for the time of the training; marked when it is through.

    It lies below ``.ckpt`` of the main workspace (DVC_ROOT), where experiments run in a temporary
    folder find it too. Checkpoints that other params, data or code left there are removed. A
    finished one stays until ``forget_finished``: if DVC is stopped before it has recorded the
    result, the next ``dvc repro`` runs the stage again, and the training is not lost.
    """
    instance = stage.name if stage.item is None else f"{stage.name}@{stage.item}"
    folder = _checkpoints(stage.profile) / instance
    key = stage.fingerprint()
    with exclusive(folder / key) as checkpoint:
        yield checkpoint
        for other in folder.iterdir():
            if other.is_dir() and other.name != key and not _in_use(other):
                shutil.rmtree(other, ignore_errors=True)
        checkpoint.finish()


def forget_finished(profile: str) -> None:
    """Delete finished trainings' checkpoints; for the last stage, when DVC has all the results."""
    discard_finished(_checkpoints(profile))


def _checkpoints(profile: str) -> Path:
    return Path(os.environ.get("DVC_ROOT", ".")) / ".ckpt" / profile


def _in_use(folder: Path) -> bool:
    """Whether another process trains into this folder just now."""
    try:
        with exclusive(folder):
            return False
    except UserError:
        return True


@contextlib.contextmanager
def live_curves(folder: Path) -> Iterator[Recorder]:
    """A recorder that dvclive shows while the training runs: one TSV per term below ``folder``.

    dvclive would rewrite dvc.yaml and make experiments of its own; both are switched off. Its
    metrics.json lives as long as the training: of a finished one, ``dvc exp show`` has accuracies
    to show, not the last value of every term.
    """
    from dvclive import Live  # slow to import

    with Live(dir=str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def record(step: int, values: dict[str, float]) -> None:
            live.step = step
            for name, value in values.items():
                live.log_metric(name, value)
            live.make_summary()

        yield record
    (folder / "metrics.json").unlink(missing_ok=True)
