"""Second-order layers against values worked out independently, and their gradients."""

import math

import numpy as np
import pytest
import torch

from fsr_fer.models.spd import BiMap, covariance_pool, log_eig, orthonormal

LOW, HIGH = 1e-4, 1e4


def symmetric(eigenvalues: list[float], seed: int = 0) -> torch.Tensor:
    """One float64 matrix [1, d, d] with this spectrum and random eigenvectors."""
    generator = torch.Generator().manual_seed(seed)
    d = len(eigenvalues)
    q, _ = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64, generator=generator))
    return ((q * torch.tensor(eigenvalues, dtype=torch.float64)) @ q.mT)[None]


def test_covariance_equals_numpy_plus_ridge() -> None:
    maps = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    result = covariance_pool(maps, ridge=0.01)
    for face in range(2):
        expected = np.cov(maps[face].reshape(5, 12).numpy())
        expected += 0.01 * np.trace(expected) * np.eye(5)
        np.testing.assert_allclose(result[face].numpy(), expected, atol=1e-12)


def test_covariance_of_one_position_is_refused() -> None:
    with pytest.raises(ValueError, match="two positions"):
        covariance_pool(torch.zeros(1, 3, 1, 1), ridge=0.0)


def test_log_eig_of_a_diagonal_matrix_clips_then_takes_logs() -> None:
    matrix = torch.diag(torch.tensor([1e-7, 1.0, math.e, 1e6], dtype=torch.float64))[None]
    logs = torch.tensor([math.log(LOW), 0.0, 1.0, math.log(HIGH)], dtype=torch.float64)
    expected = torch.diag(logs)
    torch.testing.assert_close(log_eig(matrix, LOW, HIGH)[0], expected, rtol=0, atol=1e-12)


def test_log_eig_inverts_the_matrix_exponential() -> None:
    wanted = symmetric([-2.0, -0.5, 0.1, 3.0])
    torch.testing.assert_close(log_eig(torch.matrix_exp(wanted), LOW, HIGH), wanted)


@pytest.mark.parametrize(
    "eigenvalues",
    [
        [0.5, 1.0, 2.0, 7.0],
        [1.0, 1.0, 1.0, 1.0],
        [2.0, 2.0, 5.0, 5.0 + 1e-9],
        [1e-6, 1e-5, 0.3, 4.0],
        [1e-6, 1e-6, 3e5, 3e5],
        [0.0, 0.0, 0.0, 2.0],
        [2e-4, 1e-3, 10.0, 9e3],
    ],
    ids=["distinct", "identity", "repeated", "clipped", "clipped-twice", "rank-1", "spread"],
)
def test_log_eig_gradient(eigenvalues: list[float]) -> None:
    matrix = symmetric(eigenvalues).requires_grad_(True)
    # Steps relative to the smallest eigenvalue that is not clipped; none crosses a clip bound.
    kept = [value for value in eigenvalues if LOW < value < HIGH]
    assert torch.autograd.gradcheck(
        lambda m: log_eig((m + m.mT) / 2, LOW, HIGH),
        (matrix,),
        eps=1e-4 * min([1.0, *kept]),
        atol=1e-4 / min([1.0, *kept]),
        rtol=1e-4,
        nondet_tol=1e-10,
    )


@pytest.mark.parametrize("rank", [1, 3, 20])
def test_log_eig_in_float32_agrees_with_float64_on_low_rank(rank: int) -> None:
    generator = torch.Generator().manual_seed(rank)
    root = torch.randn(4, 32, rank, dtype=torch.float64, generator=generator)
    full = root @ root.mT + 1e-2 * torch.eye(32, dtype=torch.float64)
    weights = torch.randn(4, 32, 32, dtype=torch.float64, generator=generator)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        matrix = full.to(dtype).clone().requires_grad_(True)
        (log_eig(matrix, LOW, HIGH) * weights.to(dtype)).sum().backward()
        assert matrix.grad is not None
        gradients.append(matrix.grad.double())
    error = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert error < 1e-3


def test_log_eig_refuses_nan() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        log_eig(torch.full((1, 2, 2), math.nan), LOW, HIGH)


def test_bimap_stays_orthonormal_and_moves_along_the_tangent() -> None:
    torch.manual_seed(0)
    layer = BiMap(6, 3).double()
    layer.retract()  # orthonormal in float64 too
    target = symmetric([1.0, 2.0, 3.0])
    data = symmetric([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], seed=1)
    distances = []
    for _ in range(60):
        layer.zero_grad()
        loss = (layer(data) - target).square().sum()
        loss.backward()
        layer.project_gradient()
        weight, gradient = layer.weight, layer.weight.grad
        assert gradient is not None
        # Tangent to the manifold: W^T g is skew-symmetric.
        product = weight.detach().mT @ gradient
        torch.testing.assert_close(product, -product.mT, rtol=0, atol=1e-12)
        with torch.no_grad():
            weight -= 5e-3 * gradient
        layer.retract()
        eye = torch.eye(3, dtype=torch.float64)
        torch.testing.assert_close(weight.mT @ weight, eye, rtol=0, atol=1e-12)
        distances.append(float(loss.detach()))
    assert distances[-1] < 0.5 * distances[0]


def test_orthonormal_is_continuous_where_plain_qr_flips_signs() -> None:
    matrix = torch.eye(3, dtype=torch.float64)[:, :2]
    for sign in (-1e-9, 1e-9):
        nudged = matrix + sign
        torch.testing.assert_close(orthonormal(nudged), matrix, rtol=0, atol=1e-8)
