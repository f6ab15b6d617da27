"""What a training records: named numbers at a step, such as "train/cross_entropy" -> value."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from fsr_fer.evaluation.predictions import HR
from fsr_fer.evaluation.statistics import mean_class_accuracy, total_accuracy

Recorder = Callable[[int, dict[str, float]], None]
"""Takes a step and its numbers; a resumed run gives its history first."""


def no_record(step: int, values: dict[str, float]) -> None:
    """The recorder of library calls and tests: keeps nothing."""


def require_finite(terms: Mapping[str, Tensor]) -> None:
    """Raise FloatingPointError if a term is NaN or an infinity."""
    numbers = torch.stack(list(terms.values())).tolist()  # one wait for the device
    named = zip(terms, numbers, strict=True)
    if bad := [f"{name} = {value}" for name, value in named if not math.isfinite(value)]:
        raise FloatingPointError(f"{', '.join(bad)}; nothing was updated by it")


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
