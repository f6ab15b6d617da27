"""Second-order layers against values worked out independently, and their gradients."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

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


def test_log_eig_of_a_diagonal_matrix_clips_then_takes_logs() -> None:
    matrix = torch.diag(torch.tensor([1e-7, 1.0, math.e, 1e6], dtype=torch.float64))[None]
    logs = torch.tensor([math.log(LOW), 0.0, 1.0, math.log(HIGH)], dtype=torch.float64)
    expected = torch.diag(logs)
    torch.testing.assert_close(log_eig(matrix, LOW, HIGH)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "eigenvalues",
    [
        [1.0, 1.0, 1.0, 1.0],
        [2.0, 2.0, 5.0, 5.0 + 1e-9],
        [1e-6, 1e-5, 0.3, 4.0],
        [1e-6, 1e-6, 3e5, 3e5],
        [0.0, 0.0, 0.0, 2.0],
        [2e-4, 1e-3, 10.0, 9e3],
    ],
    ids=["identity", "repeated", "clipped", "clipped-twice", "rank-1", "spread"],
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


def test_log_eig_refuses_nan() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        log_eig(torch.full((1, 2, 2), math.nan), LOW, HIGH)


def test_orthonormal_is_continuous_where_plain_qr_flips_signs() -> None:
    matrix = torch.eye(3, dtype=torch.float64)[:, :2]
    for sign in (-1e-9, 1e-9):
        nudged = matrix + sign
        torch.testing.assert_close(orthonormal(nudged), matrix, rtol=0, atol=1e-8)


# Kinds of matrices that trip eigenvalue code: spectra [n, channels], and whether float32, which
# loses eigenvalues below 1e-7 of the largest one, has a right result to give.


def spread(low: float, high: float, *shape: int) -> Tensor:
    """Logarithmically uniform from 10^low to 10^high."""
    return 10.0 ** (low + (high - low) * torch.rand(*shape, dtype=torch.float64))


SPECTRA = {
    "ordinary": (lambda n, c: spread(-1, 1, n, c), True),
    "equal": (lambda n, c: spread(-1, 1, n, 2).gather(1, torch.randint(2, (n, c))), True),
    "nearly equal": (lambda n, c: spread(-2, 2, n, 1) * (1 + spread(-12, -3, n, c)), True),
    "scaled identity": (lambda n, c: spread(-3, 3, n, 1).expand(n, c), True),
    "tiny": (lambda n, c: spread(-20, -6, n, c), False),
    "rank 1": (lambda n, c: spread(-3, 3, n, 1) * torch.eye(1, c, dtype=torch.float64), False),
    "blank": (lambda n, c: torch.zeros(n, c, dtype=torch.float64), False),
    "huge spread": (lambda n, c: spread(-12, 8, n, c), False),
}


def features_and_gradients(maps: Tensor, weight: Tensor, direction: Tensor) -> tuple[Tensor, ...]:
    """Features, and the gradients of ``(features * direction).sum()`` to maps and W [n, C, d]."""
    maps = maps.clone().requires_grad_(True)
    layer = BiMap(2, 1)
    layer.weight = nn.Parameter(weight.to(maps.dtype))
    features = log_eig(layer(covariance_pool(maps, 1e-4)), LOW, HIGH)
    (features * direction.to(maps.dtype)).sum().backward()
    assert maps.grad is not None
    assert layer.weight.grad is not None
    return features.detach(), maps.grad, layer.weight.grad


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize(("n", "channels", "dim"), [(300, 12, 8), (2, 64, 16)])
def test_degenerate_matrices_in_float32(kind: str, n: int, channels: int, dim: int) -> None:
    torch.manual_seed(1)
    make, well_posed = SPECTRA[kind]
    positions = 4 * channels
    vectors = torch.linalg.qr(torch.randn(n, channels, channels, dtype=torch.float64)).Q
    noise = torch.randn(n, positions, channels, dtype=torch.float64)
    rows = torch.linalg.qr(noise - noise.mean(dim=1, keepdim=True)).Q.mT  # centred, orthonormal
    maps = (vectors * make(n, channels)[:, None].sqrt()) @ rows * (positions - 1) ** 0.5
    maps = maps.view(n, channels, 4, channels).float()
    weight = torch.stack([orthonormal(torch.randn(channels, dim)) for _ in range(n)])
    direction = torch.randn(n, dim, dim)
    single = features_and_gradients(maps, weight, direction)
    double = features_and_gradients(maps.double(), weight, direction)
    for found, expected in zip(single, double, strict=True):
        assert bool(found.isfinite().all())
        if well_posed:
            gap = (found.double() - expected).flatten(1).norm(dim=1)
            assert bool((gap <= 1e-4 * expected.flatten(1).norm(dim=1)).all()), gap.max()
