"""Several processes on one batch or one folder, as torchrun starts them.

    torchrun --standalone --nproc-per-node 2 -m stages.fsr plain

Their number changes no result (in training, rounding alone), so it is no setting.
DistributedDataParallel averages gradients; what else couples the faces of a batch is summed here:
statistics of batch normalisation, moves of class centers, logged terms.
"""

import datetime
import os
import warnings
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from fsr_fer.common.errors import UserError

T = TypeVar("T")


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """The number of processes; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that does what only one may do: save, record, print."""
    return rank() == 0


def share(total: int) -> slice:
    """The part of ``total`` items that is this process's; parts differ by one at most."""
    return slice(total * rank() // world_size(), total * (rank() + 1) // world_size())


def barrier() -> None:
    total(0)


def total(count: int) -> int:
    """The sum of all processes' ``count``."""
    if world_size() == 1:
        return count
    return int(_summed(torch.tensor(count)))


def require_enough(faces: int) -> None:
    """Raise UserError if there are more processes than ``faces``, of a batch or for validation."""
    if world_size() > faces:
        raise UserError(f"{world_size()} processes cannot share {faces} faces; use at most {faces}")


def require_one_process() -> None:
    if world_size() > 1:
        raise UserError("this training runs in one process: start it without torchrun")


def wrap(module: nn.Module) -> nn.Module:
    """Wrap ``module`` so that its gradients become the mean over all processes.

    Call the result in place of ``module``. The weights become those of the first process.
    """
    if world_size() == 1:
        return module
    _join()
    device = next(module.parameters()).device
    # About the layout of a convolution with one input channel, where both layouts are the same.
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    return DistributedDataParallel(module, [device] if device.type == "cuda" else None)


def weighted(loss: Tensor, faces: int) -> Tensor:
    """Scale a mean over this process's ``faces``: the mean over processes is then that over all."""
    return loss if world_size() == 1 else loss * (faces * world_size() / total(faces))


@torch.no_grad()
def mean_over_all(means: dict[str, Tensor], faces: int) -> dict[str, Tensor]:
    """Named means over this process's ``faces``, scalars -> the same over all processes' faces."""
    if world_size() == 1:
        return means
    values = torch.stack(list(means.values())) * (faces / total(faces))
    return dict(zip(means, _summed(values), strict=True))


@torch.no_grad()
def gather(rows: Tensor) -> Tensor:
    """The rows of all processes, [n, ...] -> [N, ...]; each process's are its ``share`` of N."""
    if world_size() == 1:
        return rows
    count = total(len(rows))
    everything = rows.new_zeros((count, *rows.shape[1:]))
    everything[share(count)] = rows
    return _summed(everything)  # adds zeros, so nothing is rounded; parts may differ in length


def from_first(value: T) -> T:
    """The first process's ``value``, which must be picklable, in every process."""
    values = [value]
    if world_size() > 1:
        _join()
        dist.broadcast_object_list(values, device=torch.device("cpu"))
    return values[0]


class SumOverAll(torch.autograd.Function):
    """Differentiable sum over processes, same shape (torch.distributed.nn's is deprecated)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values.clone())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient.clone())


def _summed(values: Tensor) -> Tensor:
    """``values``, added up over all processes in place."""
    _join()
    dist.all_reduce(values)
    return values


def _join() -> None:
    """Join the other processes; the first call waits until all are there."""
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        patience = datetime.timedelta(days=7)  # the slowest may have hours of work left
        dist.init_process_group(backend, timeout=patience)
