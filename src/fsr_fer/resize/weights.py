"""The arithmetic of MATLAB's bicubic resize along one axis: pixels, weights, error bounds.

Its kernel is Keys' cubic with a = -1/2 (IEEE Trans. ASSP 29, 1981).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

Boundary: TypeAlias = Literal["symmetric", "replicate"]
Dtype: TypeAlias = Literal["uint8", "float32", "float64"]

LOOSEST_MARGIN = 1 / 64  # above it float32 leaves too much to sum again: float64 then
_FINEST_STEP = 2.0**-20
_FLOAT32_UNIT, _FLOAT64_UNIT = 2.0**-24, 2.0**-53


@dataclass(frozen=True)
class Axis:
    """One side of a picture, before and after."""

    size: int
    out_size: int
    scale: float
    antialiasing: bool
    boundary: Boundary


@dataclass(frozen=True, eq=False)
class Block:
    """Neighbouring results of a pass with the stretch of inputs they all draw on."""

    outputs: slice
    inputs: slice
    matrix: np.ndarray  # [outputs, inputs]


@dataclass(frozen=True, eq=False)
class Pass:
    """Resizing one axis, as float64 sums and as matrix products that come close to them.

    Result ``o`` is the sum of ``weights[o, k] * input[indices[o, k]]`` with k ascending. The
    products are in ``dtype``; for inputs that are whole numbers in 0..255 they differ from the sums
    by at most ``margin``, which is 0 where both are exact.
    """

    inputs: int
    indices: np.ndarray  # int64 [outputs, taps]
    weights: np.ndarray  # float64 [outputs, taps]
    blocks: tuple[Block, ...]
    dtype: np.dtype
    margin: float


@lru_cache(maxsize=256)
def build_pass(axis: Axis, interleaved: int, dtype: Dtype) -> Pass:
    """The pass along ``axis`` of pictures of ``dtype``, ``interleaved`` channels side by side."""
    indices, weights = contributions(axis)
    margin, products_in = 0.0, dtype
    if dtype == "uint8":
        margin, products_in = float32_error(axis), "float32"
        if margin > LOOSEST_MARGIN:
            margin, products_in = error_bound(weights, _FLOAT64_UNIT), "float64"
    product_dtype = np.dtype(products_in)
    taps = weights.shape[1]
    indices = (indices[:, None] * interleaved + np.arange(interleaved)[:, None]).reshape(-1, taps)
    weights = weights.repeat(interleaved, axis=0)
    # A stretch of results as wide as the kernel wastes half of each product; a shorter one wastes
    # less and runs slower.
    length = interleaved * max(8, math.ceil(taps * axis.scale))
    blocks = tuple(
        _block(indices, weights, slice(start, min(start + length, len(indices))), product_dtype)
        for start in range(0, len(indices), length)
    )
    return Pass(axis.size * interleaved, indices, weights, blocks, product_dtype, margin)


def _block(indices: np.ndarray, weights: np.ndarray, outputs: slice, dtype: np.dtype) -> Block:
    indices, weights = indices[outputs], weights[outputs]
    low, high = int(indices.min()), int(indices.max()) + 1
    matrix = np.zeros((len(indices), high - low))
    # Taps folded back at an edge meet others on the same input, so they must add up.
    np.add.at(matrix, (np.arange(len(indices))[:, None], indices - low), weights)
    return Block(outputs, slice(low, high), matrix.astype(dtype))


def error_bound(weights: np.ndarray, unit: float) -> float:
    """How far products in a dtype of unit roundoff ``unit`` stray from the sums in float64.

    Rounding the weights costs one unit; adding n products in any order, fused or not, n more
    (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1); one more covers the sums
    in float64 and the higher orders. Zeros between the taps cost nothing.

    The inputs are whole numbers up to 255. So weights that are multiples of a power of two (those
    of x2, x4 and their inverses) add up without any rounding in both, unless that power is too
    small for the mantissa; the bound is 0 then.
    """
    largest = 255 * float(np.abs(weights).sum(axis=1).max())
    step = 1.0
    while step > _FINEST_STEP and (np.rint(weights / step) * step != weights).any():
        step /= 2
    if step > _FINEST_STEP and (largest + 1) * unit < step:
        return 0.0
    return (weights.shape[1] + 2) * unit * largest


@lru_cache(maxsize=256)
def float32_error(axis: Axis) -> float:
    """``error_bound`` of sums along ``axis`` in float32, in grey levels."""
    return error_bound(contributions(axis)[1], _FLOAT32_UNIT)


@lru_cache(maxsize=256)
def contributions(axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """What each result along ``axis`` is made of.

    Returns int64 [out_size, taps] positions in 0..size-1 and their float64 weights, each row
    summing to 1, both in the order in which MATLAB adds them up. Read-only.
    """
    scale = axis.scale
    stretch = scale if scale < 1 and axis.antialiasing else 1.0
    support = 4.0 / stretch
    # MATLAB counts pixels from 1, and pixel centres are whole numbers.
    centre = np.arange(1, axis.out_size + 1) / scale + 0.5 * (1 - 1 / scale)
    positions = np.floor(centre - support / 2)[:, None] + np.arange(math.ceil(support) + 2)
    weights = stretch * _cubic(stretch * (centre[:, None] - positions))
    weights /= np.cumsum(weights, axis=1)[:, -1:]  # from left to right, which sum() is not
    used = weights.any(axis=0)
    weights, indices = weights[:, used], positions[:, used].astype(np.int64) - 1
    if axis.boundary == "symmetric":
        indices %= 2 * axis.size
        indices = np.where(indices < axis.size, indices, 2 * axis.size - 1 - indices)
    else:
        indices = indices.clip(0, axis.size - 1)
    weights.flags.writeable = indices.flags.writeable = False
    return indices, weights


def _cubic(distance: np.ndarray) -> np.ndarray:
    x = np.abs(distance)
    x2 = x * x
    x3 = x2 * x
    inner = 1.5 * x3 - 2.5 * x2 + 1
    outer = -0.5 * x3 + 2.5 * x2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0.0))
