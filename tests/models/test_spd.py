"""Second-order layers against values worked out independently, and their gradients."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
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


# Kinds of matrices that trip eigenvalue code, from maps [n, channels, side, side] in float64.


def spread(low: float, high: float, *shape: int) -> Tensor:
    """Logarithmically uniform from 10^low to 10^high."""
    return 10.0 ** (low + (high - low) * torch.rand(*shape, dtype=torch.float64))


SPECTRA = {
    "ordinary": lambda n, c: spread(-1, 1, n, c),
    "equal": lambda n, c: spread(-2, 2, n, 2).gather(1, torch.randint(2, (n, c))),
    "nearly equal": lambda n, c: spread(-2, 2, n, 1) * (1 + spread(-12, -3, n, c)),
    "tiny": lambda n, c: spread(-20, -6, n, c),
    "rank 1": lambda n, c: spread(-3, 5, n, 1) * torch.eye(1, c, dtype=torch.float64),
    "clipped at both ends": lambda n, c: (
        spread(0, 2, n, c) * torch.tensor([1e-7, 1e-1, 1e5])[torch.randint(3, (n, c))]
    ),
    "huge spread": lambda n, c: spread(-12, 8, n, c),
}
KINDS = (*SPECTRA, "scaled identity", "blank", "smooth")


def degenerate_maps(kind: str, n: int, channels: int, side: int) -> Tensor:
    shape, positions = (n, channels, side, side), side**2
    if kind == "blank":
        return spread(-3, 3, n, channels, 1, 1).expand(shape)
    if kind == "smooth":  # a blurred face: few smooth patterns in all channels, cut off by ReLU
        patterns = torch.randn(n, 3, 2, 2, dtype=torch.float64)
        patterns = nn.functional.interpolate(patterns, size=(side, side), mode="bicubic")
        mixing = torch.randn(n, channels, 3, dtype=torch.float64)
        return torch.einsum("bcp,bphw->bchw", mixing, patterns).relu()
    if kind == "scaled identity":
        if side == 4:  # exactly equal in float32 too
            rows = torch.from_numpy(hadamard(positions)).double()[1 : 1 + channels]
            return spread(-3, 3, n, 1, 1, 1) * rows.view(shape[1:])
        eigenvalues = spread(-3, 3, n, 1).expand(n, channels)
    else:
        eigenvalues = SPECTRA[kind](n, channels)
    rank = min(channels, positions - 1)  # as many of them, the first, as the positions allow
    vectors = torch.linalg.qr(torch.randn(n, channels, channels, dtype=torch.float64)).Q
    noise = torch.randn(n, positions, rank, dtype=torch.float64)
    rows = torch.linalg.qr(noise - noise.mean(dim=1, keepdim=True)).Q.mT  # centred, orthonormal
    scaled = vectors[:, :, :rank] * eigenvalues[:, None, :rank].sqrt()
    return (scaled @ rows * (positions - 1) ** 0.5).view(shape)


def features_and_gradients(
    maps: Tensor, weight: Tensor, direction: Tensor, ridge: float, moved: Tensor | float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Features, and the gradients of ``(features * direction).sum()`` to maps and W [n, C, d]."""
    maps = maps.clone().requires_grad_(True)
    layer = BiMap(2, 1)
    layer.weight = nn.Parameter(weight.to(maps.dtype))
    features = log_eig(layer(covariance_pool(maps, ridge) + moved), LOW, HIGH)
    (features * direction.to(maps.dtype)).sum().backward()
    assert maps.grad is not None
    assert layer.weight.grad is not None
    return features.detach(), maps.grad, layer.weight.grad


def relative_error(found: Tensor, expected: Tensor) -> Tensor:
    """Norm of the difference over the norm, per matrix; 0 where both are zero."""
    gap = (found.double() - expected).flatten(1).norm(dim=1)
    return torch.where(gap == 0, gap, gap / expected.flatten(1).norm(dim=1))


def errors_where_well_posed(maps: Tensor, dim: int, ridge: float) -> list[Tensor]:
    """Errors of float32 against float64, for features and both gradients, where well posed.

    That is meant of the problem, not of the code: 16 roundings to float32 (16 * 2^-24 of the norm)
    move the covariance up, down, and both ways along a random direction together with the maps; in
    float64 none of it may move the result by more than 1e-4. Elsewhere float32 has no right result
    to give: eigenvalues below the largest one's rounding, or within it of a bound of ReEig.
    """
    n, channels = maps.shape[:2]
    noise = torch.randn(8, channels, dim)
    weight = torch.stack([orthonormal(one) for one in noise]).repeat(-(-n // 8), 1, 1)[:n]
    direction = torch.randn(n, dim, dim)
    single = features_and_gradients(maps, weight, direction, ridge)
    assert all(bool(tensor.isfinite().all()) for tensor in single)

    exact = maps.double()
    double = features_and_gradients(exact, weight, direction, ridge)
    step, covariance = 16 * 2.0**-24, covariance_pool(exact, ridge)
    step_of_covariance = step * torch.linalg.matrix_norm(covariance, ord=2)[:, None, None]
    up = step_of_covariance * torch.eye(channels, dtype=torch.float64)
    random = torch.randn(covariance.shape, dtype=torch.float64)
    random = random + random.mT
    aside = step_of_covariance * random / torch.linalg.matrix_norm(random, ord=2)[:, None, None]
    shift = torch.randn(maps.shape, dtype=torch.float64)
    shift *= step * exact.abs().amax(dim=(1, 2, 3), keepdim=True)
    posed = [torch.ones(n, dtype=torch.bool) for _ in double]
    for moved_maps, moved in ((0.0, up), (0.0, -up), (shift, aside), (-shift, -aside)):
        neighbour = features_and_gradients(exact + moved_maps, weight, direction, ridge, moved)
        for good, tensor, expected in zip(posed, neighbour, double, strict=True):
            good &= relative_error(tensor, expected) <= 1e-4
    return [relative_error(s, d)[p] for s, d, p in zip(single, double, posed, strict=True)]


def test_thousands_of_degenerate_matrices_in_float32() -> None:
    torch.manual_seed(1)
    well_posed = [0, 0, 0]
    for kind in KINDS:
        for ridge in (1e-4, 0.0):  # CovPoolFER's, and none: the harder case
            for n, channels, side, dim in ((150, 12, 4, 8), (1, 64, 12, 16)):
                maps = degenerate_maps(kind, n, channels, side).float()
                for i, errors in enumerate(errors_where_well_posed(maps, dim, ridge)):
                    well_posed[i] += len(errors)
                    assert bool((errors <= 1e-4).all()), (kind, ridge, channels, errors.max())
    assert min(well_posed) > 1800  # of 3,020
