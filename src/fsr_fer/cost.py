"""What a row costs per face, counted and not timed: the same numbers on every machine.

FLOPs are 2 x multiply-adds of convolutions and matrix products, which torch's own counter takes
from the shapes that really occur. Left out are steps that do a few operations per value:
normalisation, activations, pooling, attention's products, and bicubic (0.0003 GFLOP per face).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.downsampling import small_side
from fsr_fer.methods import Method
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.predictions import HR

_EIGH = torch.ops.aten._linalg_eigh
META = torch.device("meta")


@dataclass(frozen=True)
class Work:
    """Counts of one face: operations of products, and those of eigendecompositions apart."""

    flop: int
    eigen_flop: int

    def __add__(self, other: Work) -> Work:
        return Work(self.flop + other.flop, self.eigen_flop + other.eigen_flop)


def eigen_flop(size: int) -> int:
    """Operations of a symmetric eigendecomposition with its vectors, [size, size]: 9 n^3.

    The symmetric QR algorithm (Golub and Van Loan, Matrix Computations, 4th edition, 8.3.5). What
    LAPACK and cuSOLVER do differs by a factor of about two either way, so it is kept apart.
    """
    return 9 * size**3


def work_of(compute: Callable[[], object]) -> Work:
    """Count what ``compute`` does."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping={_EIGH: _eigh}) as counter:
        compute()
    counts = dict(counter.get_flop_counts().get("Global", {}))
    eigen = counts.pop(_EIGH, 0)
    return Work(sum(counts.values()), eigen)


def _eigh(shape: Sequence[int], *args: Any, **kwargs: Any) -> int:
    return math.prod(shape[:-2]) * eigen_flop(shape[-1])


def work_of_network(network: CovPoolFER) -> Work:
    """Extractor and classifier on one full-size face."""
    face = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0))
    return work_of(lambda: network(face))


def work_of_module(
    module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[Work, int]:
    """A network on an input of this shape; nothing is computed but shapes.

    The second number are operations that only the first input of this shape costs: Meta-SR keeps
    the kernels that it makes for a size.
    """
    shell = copy.deepcopy(module).to(META).eval()
    values = torch.empty(shape, dtype=dtype, device=META)
    first, every = work_of(lambda: shell(values)), work_of(lambda: shell(values))
    return every, first.flop - every.flop


def cost_of(method: Method, scales: Sequence[int]) -> dict[str, dict[str, int]]:
    """Counts of a row, by kind and by column ("hr", "x2", ...) where it exists.

    ``parameters`` are those of all networks that a face goes through; ``flop_per_face`` leaves out
    the eigendecompositions, which stand in ``eigen_flop_per_face``, and what is done once for all
    faces of a size, ``flop_once``.
    """
    columns = [c for c in (HR, *(f"x{scale}" for scale in scales)) if method.reads(c)]
    always = work_of_network(method.network)
    generating = Work(0, 0)
    if method.generator is not None:
        dim = method.network.extractor.settings.bimap_dim
        generating, _ = work_of_module(method.generator, (1, 1, dim, dim), torch.float32)
    work, once = dict.fromkeys(columns, always), dict.fromkeys(columns, 0)
    for column in columns:
        if column != HR:
            work[column] += generating
        if restorer := method.restorers.get(column):
            side = small_side(int(column.removeprefix("x")))
            restoring, once[column] = work_of_module(restorer, (1, side, side, 3), torch.uint8)
            work[column] += restoring
    return {
        "parameters": {column: _parameters(method.modules(column)) for column in columns},
        "flop_per_face": {column: work[column].flop for column in columns},
        "eigen_flop_per_face": {column: work[column].eigen_flop for column in columns},
        "flop_once": once,
    }


def _parameters(modules: Sequence[nn.Module]) -> int:
    return sum(tensor.numel() for module in modules for tensor in module.parameters())
