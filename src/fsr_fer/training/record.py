"""What a training says of itself as it goes: named numbers at a step."""

from __future__ import annotations

import math
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
