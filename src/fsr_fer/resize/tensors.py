"""The resize on torch tensors, on whatever device they lie.

Unlike with NumPy the products are whole rather than in blocks: a GPU has arithmetic to spare and
dislikes small products. In the layout [n, H, W, C] the pass over rows is a batch of products and
that over columns a single one.
"""

from functools import lru_cache

import numpy as np
import torch

from .job import Job, Side
from .weights import Pass

_BUFFER_VALUES = 1 << 27  # 512 MiB of float32: enough to keep a GPU busy
_TIES_AT_ONCE = 1 << 20


def resize_tensor(images: torch.Tensor, job: Job) -> torch.Tensor:
    """Resize [N, H, W, C], gradients too; ValueError if a value is not finite."""
    if images.dtype != torch.uint8 and not bool(torch.isfinite(images).all()):
        raise ValueError("image has values that are not finite; expected finite numbers only")
    chunks = images.split(job.images_at_once(_BUFFER_VALUES))
    with torch.autocast(images.device.type, enabled=False):
        done = [_resize_chunk(chunk, job) for chunk in chunks]
    return done[0] if len(done) == 1 else torch.cat(done)


def _resize_chunk(images: torch.Tensor, job: Job) -> torch.Tensor:
    count, height, width = len(images), job.rows.size, job.columns.size
    # [n, planes, H, W, interleaved]; with one plane this is a view of [n, H, W, C].
    values = images[:, None] if job.planes == 1 else images.permute(0, 3, 1, 2)[..., None]
    for side, step in job.passes():
        dtype = _product_dtype(step)
        matrix = _matrix(step, images.device, dtype)
        before = values.to(dtype)
        if side == "rows":
            before = before.reshape(count * job.planes, height, width * job.interleaved)
            height = job.rows.out_size
            after = matrix @ before
        else:
            before = before.reshape(1, count * job.planes * height, width * job.interleaved)
            width = job.columns.out_size
            after = before @ matrix.T
        if images.dtype == torch.uint8:
            after = _round(before, step, side, after)
        values = after.reshape(count, job.planes, height, width, job.interleaved)
    values = values[:, 0] if job.planes == 1 else values[..., 0].permute(0, 2, 3, 1)
    return values.to(images.dtype).contiguous()


def _product_dtype(step: Pass) -> torch.dtype:
    """The dtype whose products keep the margin: float32 does not where it may become TF32."""
    try:
        shortened = torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # set through torch.backends.*.fp32_precision, which this call rejects
        shortened = True
    return torch.float32 if step.dtype == np.float32 and not shortened else torch.float64


@lru_cache(maxsize=64)
def _matrix(step: Pass, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    matrix = np.zeros((len(step.indices), step.inputs))
    for block in step.blocks:
        matrix[block.outputs, block.inputs] = block.matrix
    with torch.inference_mode(False):  # what is cached must serve a backward pass later
        return torch.from_numpy(matrix).to(device, dtype)


def _round(before: torch.Tensor, step: Pass, side: Side, after: torch.Tensor) -> torch.Tensor:
    """What MATLAB has after a pass: halves rounded up, clipped to 0..255."""
    if step.margin == 0:
        return after.add_(0.5).floor_().clamp_(0, 255)
    rounded = after.round()
    # Both are multiples of the last place of ``after``, so their difference is exact.
    near_half = ((rounded - after).abs_() >= 0.5 - step.margin).nonzero()
    indices = torch.from_numpy(step.indices).to(after.device)
    weights = torch.from_numpy(step.weights).to(after.device)
    for places in near_half.split(_TIES_AT_ONCE):
        image, row, column = places.unbind(1)
        which = row if side == "rows" else column
        sums = torch.zeros(len(places), dtype=torch.float64, device=after.device)
        for tap in range(indices.shape[1]):  # cumsum on a GPU adds in another order
            at = indices[which, tap]
            value = before[image, at, column] if side == "rows" else before[image, row, at]
            sums += weights[which, tap] * value.double()
        rounded[image, row, column] = (sums + 0.5).floor().to(rounded.dtype)
    return rounded.clamp_(0, 255)
