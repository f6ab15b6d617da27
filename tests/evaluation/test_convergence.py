"""The study of convergence against values worked out by hand."""

import pytest

from fsr_fer.evaluation.convergence import SCORE, Curve, summarise


def curve(*accuracies: float) -> Curve:
    return [{"step": 10 * i, SCORE: value} for i, value in enumerate(accuracies, start=1)]


def test_pairs_by_hand() -> None:
    curves = {
        # The last values are the targets: 60 and 64. Plain itself first had them at 40 and 30.
        "plain": {1: curve(40.0, 50.0, 55.0, 60.0), 2: curve(40.0, 50.0, 64.0, 64.0)},
        # Re-weighted: at 10; never, so counted at 50.
        "reweighted": {1: curve(60.0, 50.0, 55.0, 58.0), 2: curve(40.0, 50.0, 63.0, 63.0)},
    }
    test = {"plain": {1: 50.0, 2: 52.0}, "reweighted": {1: 51.0, 2: 54.0}}
    found = summarise(curves, test, 0.95)
    steps = found["steps_to_plains_last_accuracy"]
    assert steps["plain"]["values"] == [40, 30]
    assert steps["reweighted"]["values"] == [10, 50]
    assert steps["reweighted_never_did"] == 1
    ratio = found["ratio_of_steps"]
    assert ratio["values"] == pytest.approx([4.0, 0.6])
    assert ratio["mean"] == pytest.approx((4.0 * 0.6) ** 0.5, abs=1e-2)
    assert ratio["low"] < 1 < ratio["high"]
    accuracy = found["accuracy"]
    assert accuracy["last_validation"]["difference"]["values"] == [-2.0, -1.0]
    assert accuracy["best_validation"]["difference"]["values"] == [0.0, -1.0]
    assert accuracy["test_mean_of_scales"]["difference"]["values"] == [1.0, 2.0]
    assert (found["iterations"], found["validated_every"]) == (40, 10)
