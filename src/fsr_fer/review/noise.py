"""Whether a difference on the same faces is more than noise, also where a face is read often."""

from __future__ import annotations

import numpy as np

from fsr_fer.statistics import mcnemar_exact, sign_flip


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
    return sign_flip(gained)
