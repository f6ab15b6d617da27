"""What a training says of itself as it goes: named numbers at a step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, Protocol

from fsr_fer.errors import UserError

Record = tuple[int, dict[str, float]]
"""A step (epoch or iteration) and its numbers, "player/term" -> value."""


class Recorder(Protocol):
    """Takes the numbers of a step; called with the whole history first when a run resumes."""

    def __call__(self, step: int, values: dict[str, float]) -> None: ...


def no_record(step: int, values: dict[str, float]) -> None:
    """The recorder of library calls and tests: keeps nothing."""


def history_of(progress: dict[str, Any]) -> list[Record]:
    """The history kept in a checkpoint's progress."""
    return [(int(step), dict(values)) for step, values in progress["history"]]


class Means:
    """Means of a step's numbers since the last time they were asked for."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}

    def add(self, values: dict[str, float]) -> None:
        """Take note of a step's numbers."""
        for name, value in values.items():
            self._seen.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """The mean of each over the steps that had it, and a new start."""
        seen, self._seen = self._seen, {}
        return {name: sum(numbers) / len(numbers) for name, numbers in seen.items()}


HOPELESS = 3.0
"""Times a guess's cross-entropy, above which nothing is being learned; a first epoch has 1 to 2."""


def require_finite(values: dict[str, float], *, step: int, kind: str) -> None:
    """Stop a training before a NaN or an infinity reaches its weights.

    Raises:
        UserError: naming the terms and the step.
    """
    bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise UserError(
            f"training diverged at {kind} {step}: {', '.join(bad)}; nothing was updated by it. "
            "A lower learning_rate usually helps"
        )


@contextlib.contextmanager
def divergence_told(*, step: int, kind: str) -> Iterator[None]:
    """A network that meets NaN or an infinity within stops the training in one line.

    Raises:
        UserError: naming the step and what the network said.
    """
    try:
        yield
    except FloatingPointError as error:
        raise UserError(
            f"training diverged at {kind} {step}: {error}; nothing was updated by it. "
            "A lower learning_rate usually helps"
        ) from error


def require_sense(cross_entropy: float, num_classes: int, *, step: int, kind: str) -> None:
    """Stop a training that normalisation keeps finite while it makes ever surer mistakes.

    ``cross_entropy`` is the mean over many faces: single batches may be far off.

    Raises:
        UserError: naming the term and the step.
    """
    guess = math.log(num_classes)
    if cross_entropy > HOPELESS * guess:
        raise UserError(
            f"training diverged at {kind} {step}: train/cross_entropy = {cross_entropy:.3g} on "
            f"average, and guessing has {guess:.3g}. A lower learning_rate usually helps"
        )
