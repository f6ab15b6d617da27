"""Calibration by face size, and what is measured of a model, against values worked out by hand."""

import numpy as np
import pytest
import torch

from fsr_fer.evaluation.packing import (
    bicubic,
    degradations,
    expected_accuracy,
    fit_temperature,
    logits_of,
    measured,
    probabilities,
    temperature,
)
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize
from tests import sections


def test_the_temperature_by_size_and_predicted_class_by_hand() -> None:
    # Predictions with logits 2 and 0 are right with probability p where T is 2 / log(p / (1 - p)).
    # At 25 pixels 16 of 20 are right that are predicted as 0, and 6 of 10 of those predicted as 1;
    # at 100 and 10 pixels 16 of 17 and 9 of 13, where both log odds are twice as large.
    labels = np.repeat([0, 0, 1, 1], [16000, 4000, 4000, 6000])
    at_25 = np.repeat([0, 1, 0, 1], [16000, 4000, 4000, 6000])
    others = np.repeat([0, 1, 0, 1], [16000, 4000, 1000, 9000])
    third = [[2.0, 0.0, -50.0], [0.0, 2.0, -50.0]]  # never predicted
    logits = {25: np.array(third)[at_25], 100: np.array(third)[others], 10: np.array(third)[others]}
    coefficients = fit_temperature(logits, labels)
    first, second = 2 / np.log(4), 2 / np.log(1.5)
    found = temperature(coefficients, 25)
    np.testing.assert_allclose(found[:2], [first, second], rtol=2e-3)
    assert found[2] == pytest.approx(np.sqrt(first * second), rel=1e-2)  # no face tells of it
    for pixels in (100, 10):
        np.testing.assert_allclose(temperature(coefficients, pixels), found / 2, rtol=2e-3)
    shares = probabilities(np.array(third), coefficients, 25)
    np.testing.assert_allclose(shares, [[0.8, 0.2, 0], [0.4, 0.6, 0]], atol=1e-3)


def test_logits_are_the_mean_over_a_small_face_and_its_mirror_image() -> None:
    torch.manual_seed(1)
    network = CovPoolFER(sections.extractor(batch_norm_momentum=1.0), 3)
    faces = np.random.default_rng(1).integers(0, 256, (3, 100, 100, 3), dtype=np.uint8)
    network(standardise(torch.from_numpy(faces)))  # statistics of these faces
    network.eval()
    found = logits_of(network, faces, np.array([2, 0]), 20, bicubic, torch.device("cpu"), "")
    small = imresize(imresize(faces[[2, 0]], output_shape=(20, 20)), output_shape=(100, 100))
    with torch.inference_mode():
        _, logits = network(standardise(torch.from_numpy(small)))
        _, mirrored = network(standardise(torch.from_numpy(small[:, :, ::-1].copy())))
    assert not torch.allclose(logits, mirrored, rtol=1e-2)
    np.testing.assert_allclose(found, (logits + mirrored) / 2, rtol=1e-4, atol=1e-5)


def test_what_is_measured_by_hand() -> None:
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.55, 0.45]])
    labels = np.array([0, 1, 1, 0])
    result = measured(labels, shares, ("a", "b"), uncertain_below=0.6)
    assert result["total_accuracy"] == 75.0
    assert result["mean_class_accuracy"] == 75.0
    assert result["recall"] == {"a": 100.0, "b": 50.0}
    assert (result["certain"], result["accuracy_of_certain"]) == (75.0, 66.67)
    with_absent = measured(labels, shares, ("a", "b", "c"), uncertain_below=0.95)
    assert with_absent["recall"] == result["recall"]
    assert (with_absent["certain"], with_absent["accuracy_of_certain"]) == (0.0, None)
    # each face in a bin of its own: |0.9-1|, |0.7-0|, |0.8-1|, |0.55-1| over 4
    assert result["calibration_error"] == round(100 * (0.1 + 0.7 + 0.2 + 0.45) / 4, 2)


def test_the_accuracy_to_expect_never_falls_with_the_size() -> None:
    measured_at = {100: 90.0, 25: 91.0, 8: 50.0}
    by_size = {side: {"total_accuracy": percent} for side, percent in measured_at.items()}
    expected = {"pixels": [8.0, 25.0, 100.0], "accuracy": [0.5, 0.91, 0.91]}
    assert expected_accuracy(by_size) == expected


def test_the_noise_of_a_face_depends_on_no_other() -> None:
    faces = np.full((2, 20, 20, 3), 100, np.uint8)
    faces[1, 0, 0, 0] = 101
    noisy = degradations(seed=1)["noise, 5 grey levels"]
    together = noisy(faces, 20)
    np.testing.assert_array_equal(noisy(faces[::-1], 20)[::-1], together)
    np.testing.assert_array_equal(noisy(faces[1:], 20), together[1:])
    first, second = (noise.astype(int) - 100 for noise in together)
    assert abs((first == second).mean() - 0.056) < 0.03  # 1 / (5 sqrt(4 pi))
    other = degradations(seed=2)["noise, 5 grey levels"](faces, 20)
    assert not np.array_equal(other, together)


def test_boxes_too_large_and_too_far_by_hand() -> None:
    faces = np.zeros((1, 100, 100, 3), np.uint8)
    faces[:, :, :50] = 200
    changes = degradations(seed=1)
    moved = changes["box 15 % too far right"](faces, 100)[0, 0, :, 0]
    assert moved[:35].tolist() == [200] * 35
    assert moved[35:].tolist() == [0] * 65
    for name, change in changes.items():
        small = change(faces, 20)
        assert small.shape == (1, 20, 20, 3), name
        assert small.dtype == np.uint8
        low, high = small[0, :, :5].mean(), small[0, :, 15:].mean()
        assert low > high + 60, name


def test_colours_by_hand() -> None:
    face = np.full((1, 20, 20, 3), [220, 100, 50], np.uint8)
    changes = degradations(seed=1)
    assert changes["red light"](face, 20)[0, 3, 4].tolist() == [255, 100, 40]
    assert changes["grey"](face, 20)[0, 3, 4].tolist() == [130] * 3  # 65.8 + 58.7 + 5.7
