"""Degenerate matrices through covariance, BiMap and LogEig, forward and backward, in float32.

    python benchmarks/stability.py [--matrices 1000000]

For every kind of spectrum that trips eigenvalue code: nothing may become NaN or infinite, and where
the problem is well posed the error against float64 may be 1e-4 at most. Both start from the same
float32 maps. Ends in exit code 1 if not; figures go to benchmarks/stability.json.

Well posed is meant of the problem, not of the code: the covariance is moved by 16 roundings to
float32 (16 * 2^-24 of its norm; a handful is what sums and an eigenvalue solver in float32 cannot
but make), all eigenvalues up, all down, and both ways along a random direction together with the
maps; all is computed in float64, and nothing moves the answer by more than 1e-4. Where something
does, float32 has no right answer to give: eigenvalues lost below the largest one's rounding, or
within it of a bound where ReEig starts to clip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from torch import Tensor, nn

from fsr_fer.files import write_json
from fsr_fer.models.spd import BiMap, covariance_pool, log_eig, orthonormal

RESULTS = Path(__file__).with_suffix(".json")
CLIP = 1e-4, 1e4
RIDGES = (1e-4, 0.0)  # CovPoolFER's, and none: the harder case
MOVED = 16 * 2.0**-24
ALLOWED = 1e-4
ANSWERS = ("features", "gradient of the maps", "gradient of W")


@dataclass(frozen=True)
class Size:
    """Channels and positions of the maps, d of the features, matrices computed at once."""

    channels: int
    side: int
    dim: int
    batch: int
    share: float  # of all matrices


SIZES = {
    "small": Size(12, 4, 8, 4096, 0.999),
    "default": Size(64, 12, 16, 128, 0.0008),
    "paper": Size(256, 12, 128, 16, 0.0002),
}

Draw = Callable[[Size, int, torch.Generator], Tensor]


def spread(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Logarithmically uniform from 10^low to 10^high."""
    place = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return 10.0 ** (low + (high - low) * place)


def with_spectrum(eigenvalues: Tensor, size: Size, generator: torch.Generator) -> Tensor:
    """Maps [B, C, H, W] whose covariance has these eigenvalues [B, C] and random eigenvectors.

    As many of them, the first ones, as the positions allow: one fewer than there are positions.
    """
    count, positions = len(eigenvalues), size.side**2
    rank = min(size.channels, positions - 1)
    shape = (count, size.channels, size.channels)
    vectors = torch.linalg.qr(torch.randn(shape, generator=generator, dtype=torch.float64)).Q
    noise = torch.randn(count, positions, rank, generator=generator, dtype=torch.float64)
    rows = torch.linalg.qr(noise - noise.mean(dim=1, keepdim=True)).Q.mT  # centred, orthonormal
    scaled = vectors[:, :, :rank] * eigenvalues[:, None, :rank].sqrt()
    return (scaled @ rows * (positions - 1) ** 0.5).view(count, size.channels, size.side, size.side)


def ordinary(size: Size, count: int, generator: torch.Generator) -> Tensor:
    return with_spectrum(spread(generator, -1, 1, count, size.channels), size, generator)


def equal(size: Size, count: int, generator: torch.Generator) -> Tensor:
    few = spread(generator, -2, 2, count, 2)
    chosen = torch.randint(2, (count, size.channels), generator=generator)
    return with_spectrum(few.gather(1, chosen), size, generator)


def nearly_equal(size: Size, count: int, generator: torch.Generator) -> Tensor:
    nudges = 1 + spread(generator, -12, -3, count, size.channels)
    return with_spectrum(spread(generator, -2, 2, count, 1) * nudges, size, generator)


def scaled_identity(size: Size, count: int, generator: torch.Generator) -> Tensor:
    """Exactly equal in float32 too where there are positions enough: rows of a Hadamard matrix."""
    if size.side != 4:
        level = spread(generator, -3, 3, count, 1).expand(-1, size.channels)
        return with_spectrum(level, size, generator)
    rows = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(4):
        rows = torch.cat([torch.cat([rows, rows], 1), torch.cat([rows, -rows], 1)])
    maps = rows[1 : 1 + size.channels].view(size.channels, 4, 4)
    return spread(generator, -3, 3, count, 1, 1, 1) * maps


def tiny(size: Size, count: int, generator: torch.Generator) -> Tensor:
    return with_spectrum(spread(generator, -20, -6, count, size.channels), size, generator)


def blank(size: Size, count: int, generator: torch.Generator) -> Tensor:
    level = spread(generator, -3, 3, count, size.channels, 1, 1)
    return level.expand(-1, -1, size.side, size.side).clone()


def rank_one(size: Size, count: int, generator: torch.Generator) -> Tensor:
    eigenvalues = torch.zeros(count, size.channels, dtype=torch.float64)
    eigenvalues[:, 0] = spread(generator, -3, 5, count)
    return with_spectrum(eigenvalues, size, generator)


def clipped(size: Size, count: int, generator: torch.Generator) -> Tensor:
    """Eigenvalues below, between and above the bounds of ReEig."""
    below, inside, above = (
        spread(generator, low, low + 2, count, size.channels) for low in (-7, -1, 5)
    )
    third = torch.randint(3, (count, size.channels), generator=generator)
    eigenvalues = torch.where(third == 0, below, torch.where(third == 1, inside, above))
    return with_spectrum(eigenvalues, size, generator)


def huge_spread(size: Size, count: int, generator: torch.Generator) -> Tensor:
    return with_spectrum(spread(generator, -12, 8, count, size.channels), size, generator)


def smooth(size: Size, count: int, generator: torch.Generator) -> Tensor:
    """What a blurred face gives: few smooth patterns in all channels, cut at zero as by ReLU."""
    patterns = torch.randn(count, 3, 2, 2, generator=generator, dtype=torch.float64)
    patterns = nn.functional.interpolate(patterns, size=(size.side, size.side), mode="bicubic")
    mixing = torch.randn(count, size.channels, 3, generator=generator, dtype=torch.float64)
    return torch.einsum("bcp,bphw->bchw", mixing, patterns).relu()


KINDS: dict[str, Draw] = {
    "ordinary": ordinary,
    "equal": equal,
    "nearly equal": nearly_equal,
    "scaled identity": scaled_identity,
    "tiny": tiny,
    "blank": blank,
    "rank 1": rank_one,
    "clipped at both ends": clipped,
    "huge spread": huge_spread,
    "smooth": smooth,
}


def answers(
    maps: Tensor, weight: Tensor, direction: Tensor, ridge: float, moved: Tensor | float = 0.0
) -> tuple[Tensor, ...]:
    """Features and the gradients of ``(features * direction).sum()``, in the dtype of ``maps``.

    ``weight`` [B, C, d] is one W per matrix; ``moved`` is added to the covariances.
    """
    dtype = maps.dtype
    maps = maps.clone().requires_grad_(True)
    layer = BiMap(2, 1)
    layer.weight = nn.Parameter(weight.to(dtype))
    features = log_eig(layer(covariance_pool(maps, ridge) + moved), *CLIP)
    (features * direction.to(dtype)).sum().backward()
    assert maps.grad is not None
    assert layer.weight.grad is not None
    return features.detach(), maps.grad, layer.weight.grad


def differences(found: Tensor, expected: Tensor) -> Tensor:
    """Norm of the difference over the norm, per matrix; 0 where both are nothing."""
    gap = (found.double() - expected).flatten(1).norm(dim=1)
    return torch.where(gap == 0, gap, gap / expected.flatten(1).norm(dim=1))


def movements(
    maps: Tensor, ridge: float, generator: torch.Generator
) -> list[tuple[Tensor | float, Tensor]]:
    """What to add to maps and covariances to see how far roundings can move the answers."""
    covariance = covariance_pool(maps, ridge)
    step = MOVED * torch.linalg.matrix_norm(covariance, ord=2)[:, None, None]
    up = step * torch.eye(covariance.shape[1], dtype=torch.float64)
    noise = torch.randn(covariance.shape, generator=generator, dtype=torch.float64)
    noise = noise + noise.mT
    aside = step * noise / torch.linalg.matrix_norm(noise, ord=2)[:, None, None]
    shift = torch.randn(maps.shape, generator=generator, dtype=torch.float64)
    shift *= MOVED * maps.abs().amax(dim=(1, 2, 3), keepdim=True)
    return [(0.0, up), (0.0, -up), (shift, aside), (-shift, -aside)]


def examine(size: Size, maps: Tensor, ridge: float, generator: torch.Generator) -> dict[str, Any]:
    """Float32 against float64 for one batch of maps (float32): counts and worst cases."""
    count = len(maps)
    noise = torch.randn(count, size.channels, size.dim, generator=generator)
    weight = torch.stack([orthonormal(one) for one in noise[:8]]).repeat(-(-count // 8), 1, 1)
    weight = weight[:count]
    direction = torch.randn(count, size.dim, size.dim, generator=generator)
    single = answers(maps, weight, direction, ridge)
    exact = maps.double()
    double = answers(exact, weight, direction, ridge)
    neighbours = [
        answers(exact + shift, weight, direction, ridge, push)
        for shift, push in movements(exact, ridge, generator)
    ]
    finite = torch.ones(count, dtype=torch.bool)
    for answer in single:
        finite &= torch.isfinite(answer).flatten(1).all(dim=1)
    result: dict[str, Any] = {"matrices": count, "not_finite": int((~finite).sum())}
    for i, (name, expected) in enumerate(zip(ANSWERS, double, strict=True)):
        error = differences(single[i], expected)
        posed = finite.clone()
        for moved in neighbours:
            posed &= differences(moved[i], expected) <= ALLOWED
        result[name] = {
            "well_posed": int(posed.sum()),
            "worst_error": float(error[posed].max()) if posed.any() else 0.0,
            "above_allowed": int((error[posed] > ALLOWED).sum()),
        }
    return result


def add(total: dict[str, Any], part: dict[str, Any]) -> None:
    """Sum counts and keep the worst errors, in place."""
    for key, value in part.items():
        if isinstance(value, dict):
            add(total.setdefault(key, {}), value)
        elif key == "worst_error":
            total[key] = max(total.get(key, 0.0), value)
        else:
            total[key] = total.get(key, 0) + value


def run(matrices: int, seed: int) -> dict[str, Any]:
    """All sizes, kinds and ridges in equal shares: size -> kind -> figures."""
    generator = torch.Generator().manual_seed(seed)
    results: dict[str, Any] = {}
    for name, size in SIZES.items():
        each = max(1, round(matrices * size.share / len(KINDS) / len(RIDGES)))
        for kind, draw in KINDS.items():
            figures: dict[str, Any] = {}
            for ridge in RIDGES:
                for start in range(0, each, size.batch):
                    count = min(size.batch, each - start)
                    maps = draw(size, count, generator).float()
                    add(figures, examine(size, maps, ridge, generator))
            results.setdefault(name, {})[kind] = figures
            worst = [f"{figures[a]['worst_error']:.1e}" for a in ANSWERS]
            posed = [f"{figures[a]['well_posed'] / figures['matrices']:4.0%}" for a in ANSWERS]
            print(
                f"{name:<8}{kind:<21}{figures['matrices']:>8}, not finite {figures['not_finite']}; "
                f"well posed {' '.join(posed)}; worst error {' '.join(worst)}",
                flush=True,
            )
    return results


def main() -> None:
    """Examine as many matrices as asked; exit code 1 if one of them fails."""
    parser = argparse.ArgumentParser(description="Put degenerate matrices through LogEig.")
    parser.add_argument("--matrices", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="a JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = run(arguments.matrices, arguments.seed)
    every = [figures for kinds in results.values() for figures in kinds.values()]
    totals: dict[str, Any] = {}
    for figures in every:
        add(totals, figures)
    machine = describe_machine(("numpy", "torch"))
    write_json(arguments.results, {"machine": machine, "sizes": results, "all": totals})
    failed = totals["not_finite"] + sum(totals[name]["above_allowed"] for name in ANSWERS)
    print(f"{totals['matrices']} matrices, {failed} failures")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
