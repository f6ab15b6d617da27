"""Trainings that are recorded, interrupted and resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fsr_fer.training import fit
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.fit import Run

Train = Callable[[Run], nn.Module]
Records = list[tuple[int, dict[str, float]]]


def recorded(
    train: Train, checkpoint: Checkpoint | None = None, stop_after: int | None = None
) -> tuple[dict[str, Tensor], Records]:
    """The weights of the network that ``train`` returns, and what it recorded."""
    records: Records = []

    def record(step: int, values: dict[str, float]) -> None:
        records.append((step, values))
        if stop_after is not None and step > stop_after:
            raise KeyboardInterrupt

    run = Run("test", 7, torch.device("cpu"), checkpoint or Checkpoint(), record)
    return train(run).state_dict(), records


class _Killed(Checkpoint):
    """Interrupts once it has saved the first iteration of a unit whose validation is to come."""

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        super().save(tensors, progress)
        if progress["history"] and progress["seen"]:
            raise KeyboardInterrupt


def check_that_it_resumes(train: Train, folder: Path, stop_after: int) -> None:
    """A run interrupted at a validation, or between two, ends with the same weights and curves."""
    expected, curves = recorded(train)
    at, between = Checkpoint(folder / "at"), Checkpoint(folder / "between")
    with pytest.raises(KeyboardInterrupt):
        recorded(train, at, stop_after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "SAVE_EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            recorded(train, _Killed(between.folder))
    for checkpoint in (at, between):
        resumed, resumed_curves = recorded(train, checkpoint)
        assert resumed_curves == curves
        for name, tensor in expected.items():
            assert torch.equal(tensor, resumed[name]), name
