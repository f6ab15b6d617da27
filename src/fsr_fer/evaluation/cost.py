"""What a method costs per face, counted and not timed: the same numbers on every machine.

FLOPs are 2 x multiply-adds of convolutions and matrix products, which torch's own counter takes
from the shapes that really occur. Left out are steps that do a few operations per value:
normalisation, activations, pooling, attention's products, and bicubic (0.0003 GFLOP per face).
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.downsampling import small_side
from fsr_fer.evaluation.methods import Method
from fsr_fer.evaluation.predictions import HR
from fsr_fer.models.image_tensors import Restorer

_EIGH = torch.ops.aten._linalg_eigh
META = torch.device("meta")


def work_of(compute: Callable[[], object]) -> tuple[int, int]:
    """Floating-point operations of ``compute``: (of products, of eigendecompositions)."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping={_EIGH: _eigh}) as counter:
        compute()
    counts = dict(counter.get_flop_counts().get("Global", {}))
    eigen = counts.pop(_EIGH, 0)
    return sum(counts.values()), eigen


def _eigh(shape: Sequence[int], *args: Any, **kwargs: Any) -> int:
    """9 n^3 each, of [..., n, n]: symmetric QR (Golub and Van Loan, 4th edition, 8.3.5).

    LAPACK and cuSOLVER differ by a factor of about two either way, so it is kept apart.
    """
    return math.prod(shape[:-2]) * 9 * shape[-1] ** 3


def work_of_module(
    module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[int, int]:
    """Operations of a network per input, and the additional ones for the first input of a shape.

    Meta-SR caches the kernels of a size. Only shapes are computed.
    """
    shell = copy.deepcopy(module).to(META).eval()
    values = torch.empty(shape, dtype=dtype, device=META)
    (first, _), (every, _) = work_of(lambda: shell(values)), work_of(lambda: shell(values))
    return every, first - every


def cost_of(
    method: Method, restorers: Mapping[int, Restorer], scales: Sequence[int]
) -> dict[str, dict[str, int]]:
    """Counts of a method, by kind and by column ("hr", "x2", ...) where it exists.

    ``flop_once`` is for all faces of a size. A method with ``restorers``, which bring small
    faces to full size, exists at their scales alone.
    """
    face = torch.zeros(1, FULL_SIZE, FULL_SIZE, 3, dtype=torch.uint8)
    flop, eigen = work_of(lambda: method.logits(face, small=False))
    flop_of_small, _ = work_of(lambda: method.logits(face, small=True))
    work, once = {HR: flop}, {HR: 0}
    parameters = {HR: _parameters(method.network)}
    for scale in scales:
        if restorers and scale not in restorers:
            continue
        column = f"x{scale}"
        work[column], once[column] = flop_of_small, 0
        parameters[column] = parameters[HR] + _parameters(method.generator)
        if restorers:
            shape = (1, small_side(scale), small_side(scale), 3)
            restoring, once[column] = work_of_module(restorers[scale], shape, torch.uint8)
            work[column] += restoring
            parameters[column] += _parameters(restorers[scale])
    return {
        "parameters": parameters,
        "flop_per_face": work,
        "eigen_flop_per_face": dict.fromkeys(work, eigen),  # all the extractor's
        "flop_once": once,
    }


def _parameters(network: nn.Module | None) -> int:
    return 0 if network is None else sum(tensor.numel() for tensor in network.parameters())
