"""What a training writes beside its result: a checkpoint and live curves."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from fsr_fer.common.device import choose_device
from fsr_fer.common.distributed import is_first
from fsr_fer.common.files import exclusive
from fsr_fer.pipeline.stage import Stage
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.fit import Recorder, Run, no_record


@contextlib.contextmanager
def training_run(stage: Stage, name: str) -> Iterator[Run]:
    """What a stage's training needs; ``name`` is its progress line's.

    The ``with`` block also writes the stage's results; after it the checkpoint is deleted. With
    several processes only the first one saves and records.
    """
    curves = stage.paths.metrics / stage.name.replace("@", "/")
    with checkpoint_of(stage) as checkpoint, live_curves(curves) as record:
        yield Run(
            name=name,
            seed=stage.seed,
            device=choose_device(),
            checkpoint=checkpoint,
            record=record,
        )


@contextlib.contextmanager
def checkpoint_of(stage: Stage) -> Iterator[Checkpoint]:
    """The stage's checkpoint, held by this process and deleted if no error ends the block.

    It lies below ``.ckpt`` of the main workspace (DVC_ROOT), where experiments run in a temporary
    folder find it too. Checkpoints of other settings stay: those trainings may resume.
    """
    if not is_first():
        yield Checkpoint()
        return
    root = Path(os.environ.get("DVC_ROOT", "."))
    folder = root / ".ckpt" / stage.profile / stage.name / stage.fingerprint()
    with exclusive(folder, "the same training"):
        yield Checkpoint(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def live_curves(folder: Path) -> Iterator[Recorder]:
    """A recorder that dvclive shows while the training runs: one TSV per term below ``folder``.

    Without dvclive, which comes with DVC, the same files are written. It would rewrite dvc.yaml and
    make experiments of its own; both are switched off. Its metrics.json lives as long as the
    training: of a finished one, ``dvc exp show`` has accuracies to show, not the last value of
    every term.
    """
    if not is_first():
        yield no_record
        return
    try:
        from dvclive import Live  # slow to import
    except ImportError:
        shutil.rmtree(folder / "plots", ignore_errors=True)
        yield lambda step, values: _append_curves(folder / "plots/metrics", step, values)
        return

    with Live(dir=str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def record(step: int, values: dict[str, float]) -> None:
            live.step = step
            for name, value in values.items():
                live.log_metric(name, value)
            live.make_summary()

        yield record
    (folder / "metrics.json").unlink(missing_ok=True)


def _append_curves(folder: Path, step: int, values: Mapping[str, float]) -> None:
    """Add a line to each term's TSV, in dvclive's form."""
    for name, value in values.items():
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(f"step\t{path.stem}\n")
        with path.open("a") as file:
            file.write(f"{step}\t{value}\n")
