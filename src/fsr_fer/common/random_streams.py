"""Random numbers that depend on where they are used, not on what ran before.

A stream is named by the seed and its place (what for, which epoch or iteration): a resumed run
draws what the uninterrupted one would have.
"""

import hashlib
from functools import lru_cache

import torch


def stream_seed(seed: int, *place: str | int) -> int:
    """A 63-bit seed for one place of one run."""
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, *place: str | int) -> torch.Generator:
    """A CPU generator for one place of one run; the same on every device."""
    return torch.Generator().manual_seed(stream_seed(seed, *place))


@lru_cache(maxsize=2)
def epoch_order(count: int, seed: int, purpose: str, epoch: int) -> torch.Tensor:
    """The order of ``count`` faces in one epoch, a permutation, int64 [count]."""
    return torch.randperm(count, generator=stream(seed, purpose, "order", epoch))


def endless_batch(count: int, seed: int, purpose: str, number: int, size: int) -> torch.Tensor:
    """Batch ``number`` of an endless sequence of shuffled epochs: positions, int64 [size]."""
    positions = torch.arange(number * size, (number + 1) * size)
    epochs = positions // count
    parts = [
        epoch_order(count, seed, purpose, int(epoch))[positions[epochs == epoch] % count]
        for epoch in epochs.unique()
    ]
    return torch.cat(parts)
