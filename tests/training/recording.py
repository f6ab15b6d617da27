"""Trainings that are recorded, interrupted and resumed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

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


def check_that_it_resumes(train: Train, folder: Path, stop_after: int) -> None:
    """An interrupted run ends with the same weights and curves."""
    expected, curves = recorded(train)
    with pytest.raises(KeyboardInterrupt):
        recorded(train, Checkpoint(folder), stop_after)
    resumed, resumed_curves = recorded(train, Checkpoint(folder))
    assert resumed_curves == curves
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name
