"""Random numbers as a function of where they are used, not of what ran before.

A stream is named by the seed and its place (what for, which epoch or iteration), so a resumed run
draws what the uninterrupted one would have drawn.
"""

import hashlib

import torch


def stream_seed(seed: int, *place: str | int) -> int:
    """A 63-bit seed for one place of one run."""
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, *place: str | int) -> torch.Generator:
    """A CPU generator for one place of one run; the same on every device."""
    return torch.Generator().manual_seed(stream_seed(seed, *place))


class EpochOrder:
    """Which face comes at which position: a fresh permutation of ``count`` faces per epoch."""

    def __init__(self, count: int, seed: int, purpose: str) -> None:
        self.count, self.seed, self.purpose = count, seed, purpose
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def epoch(self, epoch: int) -> torch.Tensor:
        """The whole permutation of one epoch, int64 [count]."""
        if epoch != self._epoch:
            generator = stream(self.seed, self.purpose, "order", epoch)
            self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator)
        return self._order

    def batch(self, number: int, size: int) -> torch.Tensor:
        """Positions ``number * size`` onwards of the endless row of epochs, int64 [size]."""
        positions = torch.arange(number * size, (number + 1) * size)
        epochs = positions // self.count
        parts = [
            self.epoch(int(epoch))[positions[epochs == epoch] % self.count]
            for epoch in epochs.unique()
        ]
        return torch.cat(parts)
