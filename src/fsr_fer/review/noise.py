"""Whether a difference on the same faces is more than noise, also where a face is read often."""

from __future__ import annotations

import math

import numpy as np

from fsr_fer.statistics import mcnemar_exact


def paired_test(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Exact two-sided p-value (0 to 1) that two readings of the same faces differ by chance alone.

    ``labels`` is int64 [N], the readings int64 [N] or [S, N] for S scales. One scale: McNemar's
    test. Several: its extension, a sign-flip test, in which a face counts with the number of scales
    that it won or lost, all of them in one direction or in the other with equal chance.
    """
    if before.shape != after.shape or before.shape[-1] != labels.size:
        raise ValueError(f"{before.shape} and {after.shape} do not fit labels {labels.shape}")
    gained = np.atleast_2d(after == labels).sum(axis=0) - np.atleast_2d(before == labels).sum(
        axis=0
    )
    if before.ndim == 1:
        return mcnemar_exact(int((gained > 0).sum()), int((gained < 0).sum()))
    return sign_flip_exact(gained)


def sign_flip_exact(gained: np.ndarray) -> float:
    """Two-sided p-value of sum(gained) if every sign were a fair coin's; ``gained`` is int [N].

    Exact: faces that gain or lose k scales make a binomial distribution with steps of 2k, and the
    distributions of all k are convolved. Sums of positive terms only, so small p-values stay true.
    """
    total = abs(int(gained.sum()))
    sizes = np.abs(gained)
    chances = np.ones(1)
    for size in range(1, int(sizes.max(initial=0)) + 1):
        count = int((sizes == size).sum())
        if count:
            chances = np.convolve(chances, _spread(_fair_coins(count), 2 * size))
    reach = int(sizes.sum())
    sums = np.arange(-reach, reach + 1)
    return min(1.0, float(chances[np.abs(sums) >= total].sum()))


def _fair_coins(count: int) -> np.ndarray:
    """Chances of 0 to ``count`` heads."""
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        for k in range(count + 1)
    ]
    return np.exp(np.array(logs) - count * math.log(2))


def _spread(values: np.ndarray, step: int) -> np.ndarray:
    """The values ``step`` apart, zeros between them."""
    wide = np.zeros((values.size - 1) * step + 1)
    wide[::step] = values
    return wide
