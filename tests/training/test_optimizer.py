"""TensorFlow's Adam and the schedules of learning rates."""

import math

import numpy as np
import pytest
import torch

from fsr_fer.training.optimizer import TensorFlowAdam


def test_adam_follows_tensorflows_rule_by_hand() -> None:
    layer = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    weight = layer.weight
    optimizer = TensorFlowAdam(
        layer,
        learning_rate=0.1,
        beta1=0.9,
        beta2=0.999,
        epsilon=0.1,
        weight_decay=0.05,
    )
    expected = weight.detach().numpy().copy()
    mean = square = np.zeros((1, 2))
    for t in range(1, 6):
        gradient = np.array([[0.3, -2.0]]) * t
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        gradient = gradient + 0.05 * expected
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        expected = expected - rate * mean / (np.sqrt(square) + 0.1)
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-12)


def test_a_non_finite_gradient_updates_nothing() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    before = layer.weight.tolist()
    optimizer = TensorFlowAdam(layer, learning_rate=0.1)
    layer.weight.grad = torch.tensor([[math.nan, -math.inf]])
    with pytest.raises(FloatingPointError, match="g/gradient_norm = nan"):
        optimizer.step_if_finite({"g/total": torch.tensor(1.0)}, "g", 1)
    assert layer.weight.tolist() == before
    assert not any(tensor.any() for tensor in optimizer.state_dict().values())
