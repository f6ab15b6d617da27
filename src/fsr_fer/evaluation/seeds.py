"""Variance over training seeds: means, t intervals and paired comparisons, in percent.

A pair is two methods trained with one seed from one extractor and tested on the same faces.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from fsr_fer.evaluation.predictions import PredictionTable, common_sizes
from fsr_fer.evaluation.statistics import SCORES, observed

DECIMALS = 3


def over_seeds(values: Sequence[float], confidence: float) -> dict[str, float]:
    """Mean and Student's t interval of one value per seed, two or more."""
    mean, count = np.mean(values), len(values)
    reach = stdtrit(count - 1, (1 + confidence) / 2) * np.std(values, ddof=1) / math.sqrt(count)
    numbers = {"mean": statistics.fmean(values), "low": mean - reach, "high": mean + reach}
    return {name: round(float(number), DECIMALS) for name, number in numbers.items()}


def paired(
    second: Sequence[float], first: Sequence[float], confidence: float
) -> dict[str, float | list[float]]:
    """``over_seeds`` of second - first, and that difference seed by seed."""
    differences = [b - a for a, b in zip(first, second, strict=True)]
    return {
        **over_seeds(differences, confidence),
        "values": [round(difference, DECIMALS) for difference in differences],
    }


def summarise(
    tables: Mapping[str, Mapping[int, PredictionTable]], scales: Sequence[int], confidence: float
) -> dict[str, Any]:
    """Scores by score, method, size; differences by score, "later - earlier" method, size.

    ``tables`` are method -> seed -> predictions.
    """
    scores: dict[str, Any] = {}
    pairs: dict[str, Any] = {}
    for score in SCORES:
        values = {
            method: {
                size: [observed(p.labels, p.at(size, scales), score) for p in by_seed.values()]
                for size in common_sizes(by_seed.values(), scales)
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
                column: paired(values[second][column], values[first][column], confidence)
                for column in values[second]
                if column in values[first]
            }
            for first, second in itertools.combinations(tables, 2)
        }
    seeds = list(next(iter(tables.values())))
    return {"confidence": confidence, "seeds": seeds, "scores": scores, "pairs": pairs}
