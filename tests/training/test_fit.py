"""The loop itself: when it validates, what it averages, keeps and says when a step fails."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fsr_fer.common.errors import UserError
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.fit import Run, Schedule, fit
from fsr_fer.training.optimizer import require_finite
from tests.training.recording import recorded


def training(scores: list[float], bad: int = -1) -> Callable[[Run], nn.Module]:
    """Three units of two iterations each; the weight counts them, iteration ``bad`` fails."""

    def train(run: Run) -> nn.Module:
        network = nn.Linear(1, 1)
        torch.nn.init.zeros_(network.weight)

        def train_step(iteration: int) -> dict[str, Tensor]:
            value = torch.tensor(math.nan if iteration == bad else float(iteration))
            infinite = torch.tensor(math.inf if iteration == bad else 0.0)
            require_finite({"g/gan": infinite, "g/weight": torch.ones(()), "g/total": value})
            network.weight.data += 1
            return {"g/total": value} | ({"g/odd": value} if iteration % 2 else {})

        def validate(means: dict[str, float]) -> dict[str, float]:
            return {"score": scores[round(float(network.weight.detach())) // 2 - 1]}

        schedule = Schedule(3, validation_every=1, unit=2)
        state = {"network": network}
        fit(network, state, train_step, validate, score="score", schedule=schedule, run=run)
        return network

    return train


def test_means_are_those_since_the_validation_before_and_the_best_network_is_kept() -> None:
    weights, records = recorded(training([50.0, 70.0, 60.0]))
    assert records == [
        (1, {"g/total": 0.5, "g/odd": 1.0, "score": 50.0}),
        (2, {"g/total": 2.5, "g/odd": 3.0, "score": 70.0}),
        (3, {"g/total": 4.5, "g/odd": 5.0, "score": 60.0}),
    ]
    assert weights["weight"].item() == 4


def test_a_validation_follows_the_last_iteration_whatever_the_interval() -> None:
    schedule = Schedule(7, validation_every=3)
    assert [i for i in range(7) if schedule.validates_after(i)] == [2, 5, 6]


def test_a_non_finite_value_names_its_iteration_and_the_checkpoint_before_is_kept(
    tmp_path: Path,
) -> None:
    checkpoint = Checkpoint(tmp_path)
    message = (
        r"^training diverged at iteration 3: g/gan = inf, g/total = nan; "
        r"nothing was updated by it\. A lower learning_rate usually helps$"
    )
    with pytest.raises(UserError, match=message):
        recorded(training([50.0, 70.0, 60.0], bad=3), checkpoint)
    tensors, progress = checkpoint.load()
    assert progress["iterations"] == 2
    assert tensors["now.network.weight"].item() == 2
