"""Variance over training seeds: means, t intervals and paired comparisons of methods.

Percent and points throughout. A pair are two methods trained with one seed on one extractor and
tested on the same faces, so what the seed does to both cancels.
"""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import permutation_test

from fsr_fer.evaluation.predictions import HR, MEAN, PredictionTable
from fsr_fer.evaluation.statistics import mean_class_accuracy, t_interval, total_accuracy

SCORES = {"total_accuracy": total_accuracy, "mean_class_accuracy": mean_class_accuracy}
DECIMALS = 3


def over_seeds(values: Sequence[float], confidence: float) -> dict[str, float]:
    """Mean and Student's t interval of one value per seed, two or more."""
    interval = t_interval(values, confidence)
    numbers = {"mean": statistics.fmean(values), "low": interval.low, "high": interval.high}
    return {name: round(number, DECIMALS) for name, number in numbers.items()}


def paired(differences: Sequence[float], confidence: float) -> dict[str, float | list[float]]:
    """``over_seeds`` of paired differences, and the exact sign-flip test that they are noise.

    With n pairs its two-sided p cannot be below 2 / 2^n: 0.0625 for five.
    """
    p = permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    return {
        **over_seeds(differences, confidence),
        "p": round(float(p), 4),
        "values": [round(difference, DECIMALS) for difference in differences],
    }


def summarise(
    tables: Mapping[str, Mapping[int, PredictionTable]], scales: Sequence[int], confidence: float
) -> dict[str, Any]:
    """All scores and all pairs: score -> method -> column, and score -> "first - second" -> column.

    ``tables`` are method -> seed -> predictions; the pairs are every later method minus every
    earlier one. A method that does not exist at some scale has no mean over the scales either.
    """
    names = list(tables)
    scores: dict[str, Any] = {}
    pairs: dict[str, Any] = {}
    for score in SCORES:
        values = {
            method: {
                column: [score_of(score, p, column, scales) for p in by_seed.values()]
                for column in _columns(by_seed, scales)
            }
            for method, by_seed in tables.items()
        }
        scores[score] = {
            method: {
                column: over_seeds(numbers, confidence)
                | {"values": [round(number, DECIMALS) for number in numbers]}
                for column, numbers in by_column.items()
            }
            for method, by_column in values.items()
        }
        pairs[score] = {
            f"{second} - {first}": {
                column: _pair(values[second][column], values[first][column], confidence)
                for column in values[second]
                if column in values[first]
            }
            for first, second in itertools.combinations(names, 2)
        }
    seeds = list(next(iter(tables.values())))
    return {"confidence": confidence, "seeds": seeds, "scores": scores, "pairs": pairs}


def _columns(by_seed: Mapping[int, PredictionTable], scales: Sequence[int]) -> list[str]:
    """The sizes at which a method exists, and ``MEAN`` if these are all."""
    sizes = [HR, *(f"x{scale}" for scale in scales)]
    known = [size for size in sizes if all(size in p.predicted for p in by_seed.values())]
    return [*known, MEAN] if known == sizes else known


def score_of(score: str, predictions: PredictionTable, column: str, scales: Sequence[int]) -> float:
    labels, answers = predictions.labels, predictions.predicted
    if column != MEAN:
        return SCORES[score](labels, answers[column])
    return SCORES[score](labels, np.stack([answers[f"x{scale}"] for scale in scales]))


def _pair(
    second: Sequence[float], first: Sequence[float], confidence: float
) -> dict[str, float | list[float]]:
    return paired([b - a for a, b in zip(first, second, strict=True)], confidence)
