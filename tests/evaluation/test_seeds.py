"""Scores over seeds and rows in pairs, against values worked out by hand."""

import numpy as np
import pytest

from fsr_fer.evaluation.predictions import PredictionTable
from fsr_fer.evaluation.seeds import over_seeds, summarise


def test_the_t_interval_by_hand() -> None:
    # mean 3, standard deviation 1.5811, t(4, 0.975) = 2.7764 (printed tables): 3 -+ 1.9632
    result = over_seeds([1.0, 2.0, 3.0, 4.0, 5.0], 0.95)
    assert result["mean"] == 3
    assert (result["low"], result["high"]) == pytest.approx((1.0368, 4.9632), abs=1e-3)
    assert over_seeds([50.0, 50.0], 0.95) == {"mean": 50, "low": 50, "high": 50}


def predictions(*answers: list[int]) -> PredictionTable:
    return PredictionTable(
        ids=("a", "b", "c", "d"),
        labels=np.array([0, 0, 0, 1]),
        class_names=("sad", "happy"),
        predicted=dict(zip(("hr", "x2", "x4"), map(np.array, answers), strict=False)),
    )


def test_pairs_are_of_one_seed_and_means_over_the_scales() -> None:
    right, half, wrong = [0, 0, 0, 1], [0, 0, 1, 0], [1, 1, 1, 0]
    rows = {
        "plain": {1: predictions(right, half, wrong), 2: predictions(right, right, wrong)},
        "part": {1: predictions(right, half), 2: predictions(right, half)},  # no x4, so no mean
        "mine": {1: predictions(right, right, half), 2: predictions(right, right, right)},
    }
    summary = summarise(rows, (2, 4), 0.95)
    total = summary["scores"]["total_accuracy"]
    assert total["plain"]["mean"]["values"] == [25, 50]
    assert total["mine"]["x4"]["values"] == [50, 100]
    assert summary["scores"]["mean_class_accuracy"]["mine"]["x4"]["values"] == [33.333, 100]
    pairs = summary["pairs"]["total_accuracy"]
    gain = pairs["mine - plain"]["mean"]
    assert gain == {"mean": 50, "low": 50, "high": 50, "values": [50, 50]}
    assert list(total["part"]) == ["hr", "x2"]
    assert list(pairs["part - plain"]) == list(pairs["mine - part"]) == ["hr", "x2"]
    assert pairs["mine - part"]["x2"]["mean"] == 50
