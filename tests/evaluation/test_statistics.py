"""Scores and intervals against values worked out by hand, and their invariants."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsr_fer.evaluation.statistics import (
    SCORES,
    bootstrap_interval,
    calibration_interval,
    confusion_matrix,
    discordant,
    expected_calibration_error,
    holm,
    mcnemar_exact,
    mean_class_accuracy,
    observed,
    sign_flip,
    total_accuracy,
)

LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 2, 0, 1, 0, 2, 2])  # recalls 4/6, 1/2, 2/2
RANDOM = np.random.default_rng(7)
MANY_LABELS = RANDOM.integers(0, 3, 500)
MANY_PREDICTED = np.where(RANDOM.random(500) < 0.8, MANY_LABELS, (MANY_LABELS + 1) % 3)
SETTINGS = {"level": 0.95, "resamples": 4000, "seed": (1, 2)}


def total_interval(*predicted, **options):
    return bootstrap_interval(MANY_LABELS, *predicted, score="total_accuracy", **SETTINGS | options)


def test_scores_of_a_table_worked_out_by_hand():
    assert total_accuracy(LABELS, PREDICTED) == pytest.approx(70.0)
    assert mean_class_accuracy(LABELS, PREDICTED) == pytest.approx(100 * (4 / 6 + 1 / 2 + 1) / 3)
    assert confusion_matrix(LABELS, PREDICTED, 4).tolist() == [
        [4, 1, 1, 0],
        [1, 1, 0, 0],
        [0, 0, 2, 0],
        [0, 0, 0, 0],
    ]
    # Classes without faces do not count.
    assert mean_class_accuracy(np.array([0, 0, 5]), np.array([0, 1, 5])) == pytest.approx(75.0)


def test_score_over_scales_is_the_mean_of_the_scores():
    scales = np.stack([PREDICTED, np.roll(PREDICTED, 1)])
    for score in (total_accuracy, mean_class_accuracy):
        assert score(LABELS, scales) == pytest.approx(np.mean([score(LABELS, p) for p in scales]))


@pytest.mark.parametrize(
    ("rarer", "other", "p_value"),
    [
        (0, 0, 1),
        (3, 3, 1),
        (0, 5, 2 / 32),
        (2, 8, 2 * 56 / 1024),
        (900, 1100, 2 * sum(math.comb(2000, k) for k in range(901)) / 2**2000),
    ],
)
def test_mcnemar_agrees_with_whole_numbers(rarer, other, p_value):
    for first_only, second_only in ((rarer, other), (other, rarer)):
        assert mcnemar_exact(first_only, second_only) == pytest.approx(p_value, rel=1e-9)


@settings(deadline=None, max_examples=40)  # on a busy machine
@given(st.lists(st.integers(-7, 7), max_size=10))
def test_the_sign_flip_p_value_is_the_share_of_sign_choices(gained):
    sums = np.array(list(itertools.product((-1, 1), repeat=len(gained)))) @ np.array(gained, int)
    share = np.mean(np.abs(sums) >= abs(sum(gained)))
    assert sign_flip(np.array(gained, np.int64)) == pytest.approx(share)


def test_small_p_values_of_the_sign_flip_are_true():
    assert sign_flip(np.full(1000, 7)) == pytest.approx(2 * 0.5**1000, rel=1e-9)


def test_discordant_faces_are_those_that_one_alone_reads_right():
    first, second = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1])
    assert discordant(np.array([0, 0, 0, 0, 1]), first, second) == (1, 1)


def test_holm_of_an_example_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize(("score", "num_scales"), [(SCORES[0], 3), (SCORES[1], 1)])
def test_bootstrap_agrees_with_drawing_face_by_face(score, num_scales):
    generator = np.random.default_rng(3)
    predicted = np.stack([np.roll(MANY_PREDICTED, 2 * k) for k in range(num_scales)])
    draws = generator.integers(0, MANY_LABELS.size, (4000, MANY_LABELS.size))
    drawn = [observed(MANY_LABELS[faces], predicted[:, faces], score) for faces in draws]
    ours = bootstrap_interval(MANY_LABELS, predicted, score=score, **SETTINGS)
    assert ours == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.35)


def test_paired_bootstrap_knows_that_the_faces_are_the_same():
    assert total_interval(MANY_PREDICTED, MANY_PREDICTED) == (0, 0)
    better = MANY_PREDICTED.copy()
    wrong = np.flatnonzero(better != MANY_LABELS)[:25]  # 5 points of 500 faces
    better[wrong] = MANY_LABELS[wrong]
    half = 100 * 1.96 * math.sqrt(0.05 * 0.95 / 500)
    gain = total_interval(better, MANY_PREDICTED)
    assert gain == pytest.approx((5 - half, 5 + half), abs=0.4)


def test_a_class_that_nobody_predicts_is_resampled_too():
    # Two faces, one right: both draws are wrong, or both are right, in a quarter of cases each.
    faces = np.array([0, 1]), np.array([0, 0])
    assert bootstrap_interval(*faces, score="total_accuracy", **SETTINGS) == (0, 100)


def test_calibration_error_worked_out_by_hand():
    confidence = np.array([0.9, 0.8, 0.4, 0.5])  # 0.5 still belongs to the lower of two bins
    faces = np.zeros(4, np.int64), np.array([0, 1, 0, 1]), confidence
    # Lower bin: confidence 0.45, accuracy 0.5. Upper bin: 0.85 and 0.5. Half of the faces each.
    error = expected_calibration_error(*faces, bins=2)
    assert error == pytest.approx(100 * (0.5 * 0.05 + 0.5 * 0.35))
    # In one bin: confidence 0.65, accuracy 0.5. In a thousand each face is alone.
    assert expected_calibration_error(*faces, bins=1) == pytest.approx(15.0)
    every = expected_calibration_error(*faces, bins=1000)
    assert every == pytest.approx(100 * (0.1 + 0.8 + 0.6 + 0.5) / 4)
    # 0.7 * 10 is 7.000000000000001; with 0.61 it shares the bin from 0.6 to 0.7.
    error = expected_calibration_error(*(f[:2] for f in faces[:2]), np.array([0.7, 0.61]), bins=10)
    assert error == pytest.approx(100 * abs(1.31 / 2 - 0.5))
    one = np.zeros(1, np.int64), np.zeros(1, np.int64)
    assert expected_calibration_error(*one, np.zeros(1), bins=2) == 100.0  # 0 is in the first bin
    interval = calibration_interval(*one, np.array([0.75]), bins=2, **SETTINGS)
    assert interval == pytest.approx((25, 25))  # each resample is the sample


def test_no_calibration_error_is_below_zero():
    # One of two right, both said with 0.5: the error is 0, a resample's 0 or 50.
    faces = np.zeros(2, np.int64), np.array([0, 1]), np.array([0.5, 0.5])
    assert calibration_interval(*faces, bins=1, **SETTINGS) == (0, 0)
    # Of a thousand each half hardly any resample's error is 0: both bounds would be below.
    many = (column.repeat(1000) for column in faces)
    assert calibration_interval(*many, bins=1, **SETTINGS) == (0, 0)


def test_calibration_intervals_hold_the_error_of_the_population():
    """Percentiles of the resamples all but never do: they lie above it."""
    random, excess = np.random.default_rng(3), 0.03

    def draw(count):
        confidence = 0.2 + 0.8 * random.beta(4, 1.5, count)
        right = random.random(count) < confidence * (1 - excess)
        return np.zeros(count, np.int64), (~right).astype(np.int64), confidence

    # Too sure in every bin: the error is the mean excess itself.
    truth = 100 * excess * (0.2 + 0.8 * 4 / 5.5)
    assert expected_calibration_error(*draw(10**6), bins=15) == pytest.approx(truth, abs=0.2)
    settings = {"bins": 15, "level": 0.95, "resamples": 200, "seed": 0}
    intervals = [calibration_interval(*draw(700), **settings) for _ in range(60)]
    assert sum(low <= truth <= high for low, high in intervals) >= 45


def calibrated_interval(predicted, **options):
    confidence = np.linspace(0.3, 1, 500)
    return calibration_interval(MANY_LABELS, predicted, confidence, bins=15, **SETTINGS | options)


@pytest.mark.parametrize("interval", [total_interval, calibrated_interval])
def test_intervals_depend_on_the_seed_alone(interval):
    seeds = ((1, 2), (1, 2), (1, 3))
    first, again, other = (interval(MANY_PREDICTED, resamples=100, seed=seed) for seed in seeds)
    assert first == again != other
    assert 0 <= first[0] < first[1]
