"""One batch shared by several processes, so that it trains as the whole batch would in one.

Each process works on its part of the batch. DistributedDataParallel averages the gradients while
the backward pass runs; what else couples the faces of a batch is summed here: statistics of batch
normalisation, moves of class centers, the terms that are logged.

DistributedDataParallel promises to be right for one forward pass and one ``backward`` after it. The
discriminator runs three times per update and its penalty differentiates twice, so what is wrapped
is not the network but a module whose ``forward`` makes all of its terms. The inner derivative is
taken with respect to features, which have no hooks; parameters are differentiated once, by the
``backward`` at the end.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from fsr_fer.distributed import Ranks
from fsr_fer.errors import UserError
from fsr_fer.models.covpool import BetaNorm
from fsr_fer.training.checkpoint import Checkpoint


def parallel(module: nn.Module, ranks: Ranks) -> Callable[..., Any]:
    """``module``, to be called in place of it: gradients are then those of all processes.

    Weights become those of the first process.
    """
    if ranks.world == 1:
        return module
    ranks.meet()
    for part in module.modules():
        if isinstance(part, BetaNorm):
            part.over_all = sum_over_all
    device = next(module.parameters()).device
    # About the layout of a convolution with one input channel, where both layouts are the same.
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    return DistributedDataParallel(module, [device] if device.type == "cuda" else None)


def require_enough(faces: int, ranks: Ranks) -> None:
    """Check that every process has a face of a batch to work on.

    Raises:
        UserError: there are more processes than faces.
    """
    if ranks.world > faces:
        raise UserError(
            f"{ranks.world} processes cannot share batches of {faces} faces; use at most {faces}"
        )


def weighed(loss: Tensor, own: int, total: int, ranks: Ranks) -> Tensor:
    """A mean over ``own`` faces, so scaled that the processes' average is that over ``total``."""
    return loss if ranks.world == 1 else loss * (own * ranks.world / total)


@torch.no_grad()
def mean_over_all(values: Tensor, own: int, total: int, ranks: Ranks) -> Tensor:
    """Means over ``own`` faces of this process -> those over the ``total`` of all."""
    if ranks.world == 1:
        return values
    values = values * (own / total)
    dist.all_reduce(values)
    return values


@torch.no_grad()
def gathered(values: Tensor, total: int, ranks: Ranks) -> Tensor:
    """Rows of all processes, [total, ...], from each one's own ``ranks.share(total)``."""
    if ranks.world == 1:
        return values
    everything = values.new_zeros((total, *values.shape[1:]))
    everything[ranks.share(total)] = values
    dist.all_reduce(everything)  # adds zeros, so nothing is rounded; parts may differ in length
    return everything


def shared_bytes(content: bytes | None, ranks: Ranks) -> bytes | None:
    """What the first process has."""
    if ranks.world == 1:
        return content
    ranks.meet()
    size = torch.tensor(-1 if content is None else len(content))
    dist.broadcast(size, 0)
    if size < 0:
        return None
    data = torch.empty(int(size), dtype=torch.uint8)
    if content is not None and ranks.first:
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    dist.broadcast(data, 0)
    return data.numpy().tobytes()


def shared_state(
    checkpoint: Checkpoint, ranks: Ranks
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What the first process's checkpoint holds, for all; they may see different disks.

    Raises:
        UserError: the file is damaged.
    """
    if ranks.world == 1:
        return checkpoint.load()
    saved = checkpoint.load() if ranks.first else None
    progress = shared_bytes(json.dumps(saved[1]).encode() if saved else None, ranks)
    tensors = shared_bytes(save(saved[0]) if saved else None, ranks)
    if saved or progress is None or tensors is None:
        return saved
    return load(tensors), json.loads(progress)


def sum_over_all(values: Tensor) -> Tensor:
    """The processes' sum, differentiable: each loss depends on what all of them put in."""
    result: Tensor = _SumOverAll.apply(values)
    return result


class _SumOverAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
