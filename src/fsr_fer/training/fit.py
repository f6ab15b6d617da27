"""The loop of every training: steps, validation, the best network, a checkpoint of it all."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from fsr_fer.common.distributed import from_first, is_first
from fsr_fer.common.errors import UserError
from fsr_fer.common.progress import progress
from fsr_fer.evaluation.predictions import HR
from fsr_fer.evaluation.statistics import mean_class_accuracy, total_accuracy
from fsr_fer.training.checkpoint import Checkpoint, prefixed, unprefixed
from fsr_fer.training.optimizer import TensorFlowAdam

Stateful = nn.Module | TensorFlowAdam
"""What a checkpoint saves."""

SAVE_EVERY = 300.0
"""Seconds from one checkpoint to the next, where validations are further apart."""

Recorder = Callable[[int, dict[str, float]], None]
"""Takes a step and its numbers by name; a resumed run gives its history first."""


def no_record(step: int, values: dict[str, float]) -> None:
    """The recorder of library calls and tests: keeps nothing."""


@dataclass(frozen=True)
class Run:
    """Where a training runs, resumes from and reports to (of several processes: the first)."""

    name: str
    seed: int
    device: torch.device
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    record: Recorder = no_record


@dataclass(frozen=True)
class Schedule:
    """Length of a training and interval of validation, in steps of ``unit`` iterations."""

    length: int
    validation_every: int
    unit: int = 1

    def validates_after(self, iteration: int) -> bool:
        """Whether a validation follows this iteration; one always follows the last."""
        done = iteration + 1
        return done % (self.validation_every * self.unit) == 0 or done == self.length * self.unit


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def accuracies(labels: np.ndarray, predicted: Mapping[str, np.ndarray]) -> dict[str, float]:
    """In percent: total accuracy at each size; both accuracies' means over the scales.

    ``predicted`` are classes, int64 [N], by size: "hr", "x2", ...
    """
    totals = {size: total_accuracy(labels, classes) for size, classes in predicted.items()}
    scales = [size for size in predicted if size != HR]
    return {f"validation/{size}": total for size, total in totals.items()} | {
        "validation/total_accuracy": mean([totals[s] for s in scales]),
        "validation/mean_class_accuracy": mean(
            [mean_class_accuracy(labels, predicted[s]) for s in scales]
        ),
    }


def fit(
    network: nn.Module,
    state: Mapping[str, Stateful],
    train_step: Callable[[int], dict[str, Tensor]],
    validate: Callable[[dict[str, float]], dict[str, float]],
    *,
    score: str,
    schedule: Schedule,
    run: Run,
    mean: Callable[[Sequence[float]], float] = mean,
) -> None:
    """Train and leave ``network`` as it was when best on the validation data, in eval mode.

    ``train_step(iteration)`` does one update and returns its terms, scalars by name.
    ``validate(means)`` gets their means since its last call and returns further numbers, among them
    ``score``, of which higher is better. Both are recorded. ``state`` is saved then and every
    ``SAVE_EVERY``; a resumed run ends with the same bytes. UserError if the training diverged; the
    message names the iteration.
    """
    saved_at = time.monotonic()
    first, best_score, best = 0, -math.inf, dict[str, Tensor]()
    history: list[tuple[int, dict[str, float]]] = []
    seen = defaultdict[str, list[Tensor | float]](list)  # terms since the validation before
    if saved := from_first(run.checkpoint.load()):
        tensors, progressed = saved
        for name, part in state.items():
            part.load_state_dict(unprefixed(f"now.{name}", tensors))
        best = unprefixed("best", tensors)
        first, best_score = progressed["iterations"], progressed["best"]
        history = progressed["history"]
        seen |= progressed["seen"]
    for step, values in history:
        run.record(step, values)

    def save(iterations: int) -> None:
        nonlocal saved_at
        tensors = prefixed("best", best)
        for name, part in state.items():
            tensors |= prefixed(f"now.{name}", part.state_dict())
        terms = {name: [float(term) for term in values] for name, values in seen.items()}
        run.checkpoint.save(
            tensors,
            {"iterations": iterations, "best": best_score, "history": history, "seen": terms},
        )
        saved_at = time.monotonic()

    total = schedule.length * schedule.unit
    iterations = range(first, total)
    shown = progress(iterations, total=total, desc=run.name, initial=first)
    for iteration in shown if is_first() else iterations:
        try:
            for name, value in train_step(iteration).items():
                seen[name].append(value)
            if not schedule.validates_after(iteration):
                if time.monotonic() >= saved_at + SAVE_EVERY:
                    save(iteration + 1)
                continue
            values = {name: mean([float(t) for t in terms]) for name, terms in seen.items()}
            seen.clear()
            training = network.training
            network.eval()
            values |= validate(values)
            network.train(training)
        except FloatingPointError as error:
            raise UserError(
                f"training diverged at iteration {iteration}: {error}. "
                "A lower learning_rate usually helps"
            ) from error
        done = (iteration + 1) // schedule.unit
        if values[score] > best_score:
            best_score = values[score]
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        history.append((done, values))
        run.record(done, values)
        save(iteration + 1)
    network.load_state_dict(best)
    network.eval()
