"""Each term of equations 8 to 11 against values worked out by hand."""

import torch

from fsr_fer.training import losses


def test_penalty_by_hand_and_at_slope_zero() -> None:
    squared = torch.tensor([0.0, 1.0, 4.0], requires_grad=True)
    penalty = losses.gradient_penalty(squared, k=2.0, p=6.0)
    assert penalty.tolist() == [0.0, 2.0, 128.0]  # 2 * 2^6
    penalty.sum().backward()
    assert squared.grad.tolist() == [0.0, 6.0, 96.0]  # d/ds 2 s^3 = 6 s^2


def test_perceptual_and_l2_by_hand() -> None:
    first = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    second = torch.tensor([[4.0, 6.0], [0.0, 1.0]])
    assert losses.perceptual(first, second).tolist() == [25.0, 1.0]
    maps, others = first.view(2, 1, 1, 2), second.view(2, 1, 1, 2)
    assert losses.feature_l2(maps, others, "sum").tolist() == [25.0, 1.0]
    assert losses.feature_l2(maps, others, "mean").tolist() == [12.5, 0.5]
