"""Scores of predictions, their intervals and tests, in percent.

``labels`` is int64 [N]. ``predicted`` is int64 [N], or [S, N] for S scales of the same N faces:
the score is then their mean, and resampling keeps a face's S predictions together.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Score = Literal["total_accuracy", "mean_class_accuracy"]
SCORES: tuple[Score, ...] = ("total_accuracy", "mean_class_accuracy")
Seed = int | Sequence[int]
Interval = tuple[float, float]  # lower and upper bound


def observed(labels: np.ndarray, predicted: np.ndarray, score: Score) -> float:
    """The score of these predictions, percent."""
    correct = np.bincount(labels, weights=times_correct(labels, predicted))
    made = np.bincount(labels) * len(np.atleast_2d(predicted))
    return float(_score(correct, made, score))


def total_accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of faces predicted correctly, percent (the paper's score)."""
    return observed(labels, predicted, "total_accuracy")


def mean_class_accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall of the classes that occur in ``labels``, percent."""
    return observed(labels, predicted, "mean_class_accuracy")


def times_correct(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """At how many of the S scales each face is predicted correctly, int64 [N]."""
    return (np.atleast_2d(predicted) == labels).sum(axis=0)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Numbers of faces, int64 [K, K]: rows true, columns predicted."""
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def bootstrap_interval(
    labels: np.ndarray,
    predicted: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    score: Score,
    level: float,
    resamples: int,
    seed: Seed,
) -> Interval:
    """Percentile bootstrap over faces of a score; ``level`` is between 0 and 1.

    With a ``reference``, another method's predictions, of the difference of the scores. Faces
    of one class with the same gain are interchangeable, so resampling draws the number of each such
    kind from a multinomial.
    """
    gained = times_correct(labels, predicted)
    if reference is not None:
        gained -= times_correct(labels, reference)
    values, value_index = np.unique(gained, return_inverse=True)
    num_classes = int(labels.max()) + 1
    cells = num_classes * values.size
    kinds = np.bincount(labels * values.size + value_index, minlength=cells)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(labels.size, kinds / labels.size, size=resamples)
    drawn = drawn.reshape(resamples, num_classes, values.size)
    made = drawn.sum(axis=-1) * len(np.atleast_2d(predicted))
    return _percentiles(_score(drawn @ values, made, score), level)


def expected_calibration_error(
    labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, *, bins: int
) -> float:
    """How far confidence (float64 [N], 0 to 1) is from accuracy, percent.

    The mean over equal-width bins of the confidence, each closed above, of |mean confidence -
    accuracy|, weighted by faces (Naeini et al., AAAI 2015; Guo et al., ICML 2017).
    """
    gaps = np.bincount(*_gaps(labels, predicted, confidence, bins))
    return 100.0 * float(np.abs(gaps).sum()) / labels.size


def calibration_interval(
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    *,
    bins: int,
    level: float,
    resamples: int,
    seed: Seed,
) -> Interval:
    """Basic bootstrap over faces of the expected calibration error; ``level`` is a share.

    Chance alone makes gaps: a sample's error is above the population's, a resample's above that
    again. Percentiles mirrored at the sample's error (2 e - q) make up for it.
    """
    bin_of, gaps = _gaps(labels, predicted, confidence, bins)
    gap = np.abs(np.bincount(bin_of, gaps)).sum()
    generator = np.random.default_rng(seed)
    resampled = np.empty(resamples)
    for i in range(resamples):
        drawn = generator.integers(labels.size, size=labels.size)
        resampled[i] = np.abs(np.bincount(bin_of[drawn], gaps[drawn])).sum()
    low, high = _percentiles(100.0 * (2 * gap - resampled) / labels.size, level)
    return max(0.0, low), max(0.0, high)


def discordant(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """How many faces only ``first`` and only ``second``, int64 [N], predicts correctly."""
    gained = times_correct(labels, first) - times_correct(labels, second)
    return int((gained > 0).sum()), int((gained < 0).sum())


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """P-value (0 to 1) of the two-sided exact McNemar test on the ``discordant`` faces."""
    from scipy.special import bdtr

    rarer = min(first_only, second_only)
    return min(1.0, 2 * float(bdtr(rarer, first_only + second_only, 0.5)))


def sign_flip(gained: np.ndarray) -> float:
    """Two-sided exact p-value of sum(gained) if each sign were a fair coin's; int64 [N].

    With one gained or lost each, this is McNemar's test. Positive terms only are summed, so that
    small p-values stay true.
    """
    sizes = np.abs(gained)
    chances = np.ones(1)  # of 0, 1, 2, ... as the sum of those sizes whose coin shows heads
    for size in sizes[sizes > 0]:
        longer = np.zeros(chances.size + size)
        longer[:-size] += chances / 2
        longer[size:] += chances / 2
        chances = longer
    sums = 2 * np.arange(chances.size) - sizes.sum()
    return min(1.0, float(chances[np.abs(sums) >= abs(gained.sum())].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment (Scand. J. Stat. 6, 1979) for all these tests, in their order."""
    ascending = np.argsort(p_values)
    times = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ascending] = np.maximum.accumulate(times * np.asarray(p_values)[ascending])
    return [float(p_value) for p_value in adjusted.clip(max=1.0)]


def _gaps(
    labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bin of each face's confidence, and confidence minus correctness (0 or 1)."""
    # Rounded, or 0.7 of 10 bins would be above the seventh's end.
    bin_of = np.ceil(np.round(confidence * bins, 9)).astype(np.int64).clip(min=1) - 1
    return bin_of, confidence - (predicted == labels)


def _score(correct: np.ndarray, all_made: np.ndarray, score: Score) -> np.ndarray:
    """Percent from correct and all predictions per class, [..., K] -> [...]."""
    if score == "total_accuracy":
        return 100.0 * correct.sum(axis=-1) / all_made.sum(axis=-1)
    present = all_made > 0
    recall = np.divide(correct, all_made, out=np.zeros(correct.shape), where=present)
    return 100.0 * recall.sum(axis=-1) / present.sum(axis=-1)


def _percentiles(scores: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
