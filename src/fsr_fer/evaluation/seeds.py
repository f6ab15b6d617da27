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


def with_values(values: Sequence[float], confidence: float) -> dict[str, Any]:
    """``over_seeds``, and the values seed by seed."""
    rounded = [round(value, DECIMALS) for value in values]
    return {**over_seeds(values, confidence), "values": rounded}


def paired(second: Sequence[float], first: Sequence[float], confidence: float) -> dict[str, Any]:
    """``with_values`` of second - first."""
    return with_values([b - a for a, b in zip(first, second, strict=True)], confidence)


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
                column: with_values(numbers, confidence) for column, numbers in by_column.items()
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
