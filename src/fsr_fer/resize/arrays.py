"""The resize on NumPy arrays: a cacheful of images at a time, two matrix products each."""

import numpy as np

from .job import Job, Side
from .weights import Pass

_BUFFER_VALUES = 1 << 18  # 1 MiB of float32: a few buffers of it stay in the cache
_TIES_AT_ONCE = 1 << 16


def resize_array(images: np.ndarray, job: Job) -> np.ndarray:
    """Resize [N, H, W, C]; ValueError if a value is not finite."""
    is_uint8 = images.dtype == np.uint8
    shape = (len(images), job.rows.out_size, job.columns.out_size, job.channels)
    result = np.empty(shape, images.dtype)
    passes = job.passes()
    dtype = np.result_type(*(step.dtype for _, step in passes))
    at_once = min(len(images), job.images_at_once(_BUFFER_VALUES))
    source, target, spare = (np.empty(at_once * job.image_values, dtype) for _ in range(3))
    for start in range(0, len(images), max(1, at_once)):
        chunk = images[start : start + at_once]
        if not is_uint8 and not np.isfinite(chunk).all():
            raise ValueError("image has values that are not finite; expected finite numbers only")
        count, height, width = len(chunk), job.rows.size, job.columns.size
        rows_first = _rows_first(chunk, job)
        source[: chunk.size].reshape(rows_first.shape)[...] = rows_first
        for side, step in passes:
            before = _as_matrix(source, job, count, height, width, side)
            if side == "rows":
                height = job.rows.out_size
            else:
                width = job.columns.out_size
            after = _as_matrix(target, job, count, height, width, side)
            _multiply(before, step, side, after)
            source, target = target, source
            if is_uint8:
                _round(before, step, side, after, spare[: after.size].reshape(after.shape))
                source, spare = spare, source
        finished = _rows_first(result[start : start + at_once], job)
        finished[...] = source[: finished.size].reshape(finished.shape)
    return result


def _rows_first(images: np.ndarray, job: Job) -> np.ndarray:
    """A view of [n, H, W, C] as [H, n, planes, W, interleaved]."""
    if job.planes == 1:
        return images.transpose(1, 0, 2, 3)[:, :, None]
    return images.transpose(1, 0, 3, 2)[..., None]


def _as_matrix(
    values: np.ndarray, job: Job, count: int, height: int, width: int, side: Side
) -> np.ndarray:
    """A view in two dimensions, the one to be resized first (rows) or last (columns)."""
    columns = width * job.interleaved
    shape = (height, -1) if side == "rows" else (-1, columns)
    return values[: count * height * width * job.channels].reshape(shape)


def _multiply(before: np.ndarray, step: Pass, side: Side, after: np.ndarray) -> None:
    for block in step.blocks:
        if side == "rows":
            np.matmul(block.matrix, before[block.inputs], out=after[block.outputs])
        else:
            np.matmul(before[:, block.inputs], block.matrix.T, out=after[:, block.outputs])


def _round(
    before: np.ndarray, step: Pass, side: Side, after: np.ndarray, rounded: np.ndarray
) -> None:
    """Put into ``rounded`` what MATLAB has after a pass: halves rounded up, clipped to 0..255.

    ``after`` serves as room to work in.
    """
    if step.margin == 0:
        after += 0.5
        np.floor(after, out=rounded)
    else:
        np.rint(after, out=rounded)
        after -= rounded  # exact, since both are multiples of the last place of ``after``
        np.abs(after, out=after)
        near_half = np.flatnonzero(after >= 0.5 - step.margin)
        for start in range(0, len(near_half), _TIES_AT_ONCE):
            places = near_half[start : start + _TIES_AT_ONCE]
            rounded.reshape(-1)[places] = _sum_again(before, step, side, rounded.shape[1], places)
    np.clip(rounded, 0, 255, out=rounded)


def _sum_again(
    before: np.ndarray, step: Pass, side: Side, columns: int, places: np.ndarray
) -> np.ndarray:
    """Results rounded from float64 sums in MATLAB's order; ``places`` are flat positions."""
    row, column = np.divmod(places, columns)
    result, other = (row, column) if side == "rows" else (column, row)
    indices = step.indices.take(result, axis=0)
    if side == "rows":
        taps = before.take(indices * columns + other[:, None])
    else:
        taps = before.take(indices + other[:, None] * before.shape[1])
    # cumsum adds from left to right and keeps that order, which sum() does not.
    sums = np.cumsum(step.weights.take(result, axis=0) * taps, axis=1)[:, -1]
    return np.floor(sums + 0.5)
