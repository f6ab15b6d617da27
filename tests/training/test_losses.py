"""Each term of equations 7 to 11 against values worked out by hand."""

import pytest
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_sixth_power_is_float32_whatever_the_networks_run_in(
    dtype: torch.dtype, autocast: bool
) -> None:
    slope = 24.0  # 2 * 24^6 is 3.8e8, and float16 ends at 65504
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1, bias=False))
    torch.nn.init.constant_(critic[1].weight, slope / 4)
    hr, sr = torch.linspace(-1, 1, 64).view(2, 2, 1, 4, 4).to(dtype)
    interpolation = torch.tensor([0.25, 0.5], dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        squared = losses.squared_gradient_norm(critic, hr, sr, interpolation)
        penalty = losses.gradient_penalty(squared, k=2.0, p=6.0)
        difference = losses.discriminator_gan(critic(hr.float()), critic(sr.float())).squeeze(1)
        loss = (difference + penalty).mean()
    loss.backward()
    assert squared.dtype == penalty.dtype == difference.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(penalty, torch.full((2,), 2 * slope**6), rtol=1e-5, atol=0)
    gradient = critic[1].weight.grad
    # d/dw 2 |w|^6 = 12 |w|^4 w, each of the 16 weights being |w| / 4; the rest is below 1.
    torch.testing.assert_close(gradient, torch.full_like(gradient, 3 * slope**5), rtol=1e-2, atol=1)


def test_every_term_is_at_least_float32() -> None:
    for dtype, expected in [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)]:
        values = torch.rand(2, 3, dtype=dtype)
        found = [
            losses.generator_gan(values),
            losses.discriminator_gan(values, values),
            losses.gradient_penalty(values[:, 0], k=2.0, p=6.0),
            losses.perceptual(values, values),
            losses.feature_l2(values, values, "sum"),
            losses.feature_l2(values, values, "mean"),
            losses.classification_weights(values, torch.zeros(2, dtype=torch.int64), 1.5, 1.0),
        ]
        assert [term.dtype for term in found] == [expected] * len(found)
