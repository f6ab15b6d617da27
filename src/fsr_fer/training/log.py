"""What a training reports as it goes: named numbers at a step, "player/term" -> value."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from fsr_fer.evaluation.predictions import HR
from fsr_fer.evaluation.statistics import mean_class_accuracy, total_accuracy

Recorder = Callable[[int, dict[str, float]], None]
"""Takes a step (epoch or iteration) and its numbers; a resumed run gives its history first."""


def no_record(step: int, values: dict[str, float]) -> None:
    """The recorder of library calls and tests: keeps nothing."""


def require_finite(terms: Mapping[str, Tensor]) -> None:
    """Stop a step before a NaN or an infinity reaches the weights.

    Raises:
        FloatingPointError: naming the terms.
    """
    numbers = torch.stack(list(terms.values())).tolist()  # one wait for the device
    named = zip(terms, numbers, strict=True)
    if bad := [f"{name} = {value}" for name, value in named if not math.isfinite(value)]:
        raise FloatingPointError(f"{', '.join(bad)}; nothing was updated by it")


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def accuracies(labels: np.ndarray, predicted: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Validation accuracies in percent: total at each size, both kinds' mean over the scales.

    ``predicted`` are classes, int64 [N], by size: "hr", "x2", ...
    """
    scales = {size: classes for size, classes in predicted.items() if size != HR}
    return {
        **{f"validation/{size}": total_accuracy(labels, c) for size, c in predicted.items()},
        "validation/total_accuracy": mean([total_accuracy(labels, c) for c in scales.values()]),
        "validation/mean_class_accuracy": mean(
            [mean_class_accuracy(labels, c) for c in scales.values()]
        ),
    }


class Means:
    """Means of the steps' terms since they were last asked for."""

    def __init__(self, mean: Callable[[Sequence[float]], float] = mean) -> None:
        self._mean = mean
        self._seen: dict[str, list[Tensor]] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Take note of a step's terms, detached tensors without dimensions."""
        for name, value in terms.items():
            self._seen.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """The mean of each over the steps that had it, and a new start."""
        seen, self._seen = self._seen, {}
        return {
            name: self._mean([float(value) for value in values]) for name, values in seen.items()
        }
