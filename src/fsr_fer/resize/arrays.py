"""The resize on NumPy arrays: a cacheful of images at a time, two matrix products each."""

import numpy as np

from .job import Job, Side
from .weights import Pass

_BUFFER_VALUES = 1 << 18  # 1 MiB of float32: a few buffers of it stay in the cache
_TIES_AT_ONCE = 1 << 16


def resize_array(images: np.ndarray, job: Job) -> np.ndarray:
    """Resize [N, H, W, C]; ValueError if a value is not finite."""
    shape = (len(images), job.rows.out_size, job.columns.out_size, job.channels)
    result = np.empty(shape, images.dtype)
    at_once = job.images_at_once(_BUFFER_VALUES)
    passes = job.passes()
    dtype = np.result_type(*(step.dtype for _, step in passes))
    for start in range(0, len(images), at_once):
        chunk = images[start : start + at_once]
        if images.dtype != np.uint8 and not np.isfinite(chunk).all():
            raise ValueError("image has values that are not finite; expected finite numbers only")
        values = _rows_first(chunk, job).astype(dtype, order="C")
        for side, step in passes:
            # In two dimensions, the one to be resized first (rows) or last (columns).
            flat = (len(values), -1) if side == "rows" else (-1, values[0, 0, 0].size)
            before = values.reshape(flat)
            after = _multiply(before, step, side)
            if images.dtype == np.uint8:
                after = _round(before, step, side, after)
            height = job.rows.out_size if side == "rows" else len(values)
            values = after.reshape(height, len(chunk), job.planes, -1, job.interleaved)
        _rows_first(result[start : start + at_once], job)[...] = values
    return result


def _rows_first(images: np.ndarray, job: Job) -> np.ndarray:
    """A view of [n, H, W, C] as [H, n, planes, W, interleaved]."""
    if job.planes == 1:
        return images.transpose(1, 0, 2, 3)[:, :, None]
    return images.transpose(1, 0, 3, 2)[..., None]


def _multiply(before: np.ndarray, step: Pass, side: Side) -> np.ndarray:
    results = len(step.indices)
    shape = (results, before.shape[1]) if side == "rows" else (len(before), results)
    after = np.empty(shape, before.dtype)
    for block in step.blocks:
        if side == "rows":
            np.matmul(block.matrix, before[block.inputs], out=after[block.outputs])
        else:
            np.matmul(before[:, block.inputs], block.matrix.T, out=after[:, block.outputs])
    return after


def _round(before: np.ndarray, step: Pass, side: Side, after: np.ndarray) -> np.ndarray:
    """What MATLAB has after a pass: halves rounded up, clipped to 0..255.

    ``after`` serves as room to work in.
    """
    if step.margin == 0:
        after += 0.5
        rounded = np.floor(after, out=after)
    else:
        rounded = np.rint(after)
        after -= rounded  # exact, since both are multiples of the last place of ``after``
        near_half = np.flatnonzero(np.abs(after, out=after) >= 0.5 - step.margin)
        for start in range(0, len(near_half), _TIES_AT_ONCE):
            places = near_half[start : start + _TIES_AT_ONCE]
            rounded.reshape(-1)[places] = _sum_again(before, step, side, rounded.shape[1], places)
    return np.clip(rounded, 0, 255, out=rounded)


def _sum_again(
    before: np.ndarray, step: Pass, side: Side, columns: int, places: np.ndarray
) -> np.ndarray:
    """Results rounded from float64 sums in MATLAB's order; ``places`` are flat positions."""
    row, column = np.divmod(places, columns)
    result = row if side == "rows" else column
    indices = step.indices[result]
    at = (indices, column[:, None]) if side == "rows" else (row[:, None], indices)
    # cumsum adds from left to right and keeps that order, which sum() does not.
    sums = np.cumsum(step.weights[result] * before[at], axis=1)[:, -1]
    return np.floor(sums + 0.5)
