"""What a training step says of itself: named numbers that stay on the device until asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fsr_fer.training.record import require_finite


@dataclass(frozen=True)
class Terms:
    """Named numbers of one step, "player/term"; ``values`` [len(names)] on the training's device.

    Reading one of a GPU waits for all that is queued there, so nobody does until they are shown.
    """

    names: tuple[str, ...]
    values: Tensor

    @staticmethod
    def of(values: Mapping[str, Tensor]) -> Terms:
        """From numbers as tensors without dimensions."""
        return Terms(tuple(values), torch.stack([value.detach() for value in values.values()]))

    def __or__(self, other: Terms) -> Terms:
        """These and, after them, the other ones; a later number of a name replaces the earlier."""
        mine = dict(zip(self.names, self.values, strict=True))
        theirs = dict(zip(other.names, other.values, strict=True))
        return Terms.of(mine | theirs)

    def finite(self) -> Tensor:
        """Whether all are finite, a bool without dimensions on the device."""
        return self.values.isfinite().all()

    def floats(self) -> dict[str, float]:
        """The numbers themselves; waits for the device."""
        return dict(zip(self.names, self.values.tolist(), strict=True))


class Tally:
    """Means of the terms since the last time they were asked for."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seen: list[tuple[int, Terms]] = []

    def add(self, step: int, terms: Terms) -> None:
        """Take note of a step's terms.

        Raises:
            UserError: one is not finite. On a GPU ``means`` says so; asking now would wait for it.
        """
        if terms.values.device.type == "cpu" and not terms.finite():
            require_finite(terms.floats(), step=step, kind=self._kind)
        self._seen.append((step, terms))

    def means(self) -> dict[str, float]:
        """The mean of each term over the steps that had it, and a new start.

        Raises:
            UserError: naming the first step with a term that is not finite.
        """
        seen, self._seen = self._seen, []
        numbers: dict[str, list[float]] = {}
        rows = torch.cat([terms.values for _, terms in seen]).tolist()
        position = 0
        for step, terms in seen:
            values = dict(zip(terms.names, rows[position:], strict=False))
            position += len(terms.names)
            require_finite(values, step=step, kind=self._kind)
            for name, value in values.items():
                numbers.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in numbers.items()}
