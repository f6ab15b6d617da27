"""What every training here keeps: the best network so far, the history, a checkpoint of it all."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor, nn

from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.training.checkpoint import Checkpoint, prefixed, unprefixed
from fsr_fer.training.parallel import shared_state
from fsr_fer.training.record import Record, Recorder, history_of, no_record


class Resumable(Protocol):
    """A trainer whose whole state can be taken out and put back."""

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Bring back a state that ``tensors`` gave."""


class Selection:
    """Resumes ``trainer`` from ``checkpoint`` and keeps ``network`` as it was when best.

    ``done`` is how far the training is, in the unit that the caller counts in (epochs, iterations).
    Of several processes the first one saves, and all resume from what it saved.
    """

    def __init__(
        self,
        trainer: Resumable,
        network: nn.Module,
        checkpoint: Checkpoint,
        record: Recorder,
        ranks: Ranks = ALONE,
    ) -> None:
        self._trainer, self._network = trainer, network
        self._checkpoint = checkpoint if ranks.first else Checkpoint(None)
        self._record = record if ranks.first else no_record
        self.done = 0
        self._score = -math.inf
        self._best: dict[str, Tensor] = {}
        self._history: list[Record] = []
        if saved := shared_state(checkpoint, ranks):
            tensors, progress = saved
            trainer.load(unprefixed("now", tensors))
            self._best = unprefixed("best", tensors)
            self.done, self._score = progress["done"], progress["best"]
            self._history = history_of(progress)
            for step, values in self._history:
                self._record(step, values)

    def keep(self, done: int, values: dict[str, float], score: float) -> None:
        """Take note of a validation after ``done`` units; a higher ``score`` is better."""
        if score > self._score:
            self._score = score
            self._best = {name: t.clone() for name, t in self._network.state_dict().items()}
        self.done = done
        self._history.append((done, values))
        self._record(done, values)
        tensors = prefixed("now", self._trainer.tensors()) | prefixed("best", self._best)
        progress = {"done": done, "best": self._score, "history": self._history}
        self._checkpoint.save(tensors, progress)

    def finish(self) -> None:
        """Make the network what it was when best, in eval mode."""
        self._network.load_state_dict(self._best)
        self._network.eval()
