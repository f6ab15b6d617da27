"""TensorFlow's Adam and Muon by hand, and what stops a step."""

import math

import numpy as np
import pytest
import torch

from fsr_fer.training.optimizer import Muon, TensorFlowAdam, orthogonal


def test_adam_follows_tensorflows_rule_by_hand() -> None:
    layer = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    weight = layer.weight
    optimizer = TensorFlowAdam(layer, learning_rate=0.1, epsilon=0.1, weight_decay=0.05)
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


def near_orthogonal(matrix: np.ndarray) -> np.ndarray:
    """What ``orthogonal`` gives, by the singular values: the polynomial is odd."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values /= np.linalg.norm(matrix)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return (left * values) @ right


@pytest.mark.parametrize("shape", [(3, 8), (8, 3)])
def test_orthogonal_by_singular_values(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(1).normal(size=shape) * 50
    made = orthogonal(torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(made, near_orthogonal(matrix), atol=1e-6)
    assert all(0.65 < value < 1.25 for value in np.linalg.svd(made, compute_uv=False))
    assert not orthogonal(torch.zeros(shape)).any()


def test_muon_by_hand() -> None:
    torch.manual_seed(2)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(3, 6), torch.nn.Linear(6, 2)
    ).double()
    optimizer = Muon(network, step_size=0.6, learning_rate=0.1, epsilon=0.1, weight_decay=0.05)
    weight = network[0].weight
    expected = weight.detach().numpy().reshape(3, 18).copy()
    momentum = np.zeros((3, 18))
    generator = np.random.default_rng(3)
    for _ in range(3):
        for parameter in network.parameters():
            parameter.grad = torch.from_numpy(generator.normal(size=tuple(parameter.shape)))
        gradient = weight.grad.numpy().reshape(3, 18)
        momentum = 0.95 * momentum + gradient
        direction = near_orthogonal(gradient + 0.95 * momentum)
        expected = expected - 0.1 * 0.6 * math.sqrt(18) * direction
        optimizer.step()
        np.testing.assert_allclose(weight.detach().numpy().reshape(3, 18), expected, atol=1e-7)
    names = set(optimizer.state_dict())
    assert {"0.momentum", "1.momentum", "steps", "3.mean", "3.square"} == names - {
        f"{index}.{kind}" for index in range(3) for kind in ("mean", "square")
    }  # two hidden weights; their two biases and the output layer are Adam's
