"""MATLAB's bicubic resize, plain and slow: the yardstick for fsr_fer.resize.

Written from the definition, one result row and one tap at a time in float64, and sharing nothing
with the library.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

import numpy as np

Number = TypeVar("Number", float, Fraction)


def cubic(x: Number) -> Number:
    """Keys' kernel with a = -1/2; exact when given a fraction."""
    x = abs(x)
    square, cube = x * x, x * x * x
    if x <= 1:
        return (3 * cube - 5 * square + 2) / 2
    if x <= 2:
        return (-cube + 5 * square - 8 * x + 4) / 2
    return 0 * x


def mirrored(position: int, size: int) -> int:
    """... 1 0 | 0 1 .. size-1 | size-1 size-2 ..."""
    while not 0 <= position < size:
        position = -1 - position if position < 0 else 2 * size - 1 - position
    return position


def taps(
    size: int, result: int, scale: Number, antialiasing: bool, boundary: str
) -> list[tuple[int, Number]]:
    """Input positions and weights of one result, left to right; exact when scale is a fraction."""
    stretch = scale if antialiasing and scale < 1 else 1
    centre = (result + 1) / scale + (1 - 1 / scale) / 2  # pixels count from 1, as in MATLAB
    first = math.floor(centre - 2 / stretch)
    positions = range(first, first + math.ceil(4 / stretch) + 2)
    weights = [stretch * cubic(stretch * (centre - position)) for position in positions]
    total = 0 * scale
    for weight in weights:
        total += weight
    places = [
        mirrored(position - 1, size)
        if boundary == "symmetric"
        else min(max(position - 1, 0), size - 1)
        for position in positions
    ]
    return [(place, weight / total) for place, weight in zip(places, weights, strict=True)]


def reference_resize(
    image: np.ndarray,
    scale: float | None = None,
    output_shape: tuple[int, int] | None = None,
    antialiasing: bool = True,
    boundary: str = "symmetric",
) -> np.ndarray:
    """Resize [H, W] or [H, W, C]; uint8 is rounded (halves up) and clipped after each pass."""
    if output_shape is None:
        assert scale is not None
        scales = [scale, scale]
        sizes = [math.ceil(scale * side) for side in image.shape[:2]]
    else:
        sizes = list(output_shape)
        scales = [out / side for out, side in zip(sizes, image.shape[:2], strict=True)]
    values = image.astype(np.float64)
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        lines = np.moveaxis(values, axis, 0)
        resized = []
        for result in range(sizes[axis]):
            line = np.zeros(lines.shape[1:])
            for place, weight in taps(len(lines), result, scales[axis], antialiasing, boundary):
                line = line + weight * lines[place]
            resized.append(line)
        values = np.moveaxis(np.stack(resized), 0, axis)
        if image.dtype == np.uint8:
            values = np.clip(np.floor(values + 0.5), 0, 255)
    return values.astype(image.dtype)


def random_image(seed: int, *shape: int) -> np.ndarray:
    """Noise, half of the time black and white alone, where overshoot is clipped."""
    random = np.random.default_rng(seed)
    if seed % 2:
        return random.choice(np.array([0, 255], np.uint8), shape)
    return random.integers(0, 256, shape, dtype=np.uint8)


@lru_cache
def stripes_on_halves(size: int, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Lines, uint8 [6, size], some of whose resized values are a whole number and a half.

    Where these are is bool [results, 6]. The search is by luck, in whole numbers: nothing is
    rounded.
    """
    results = math.ceil(Fraction(scale) * size)
    weights = np.full((results, size), Fraction(0))
    for result in range(results):
        for place, weight in taps(size, result, Fraction(scale), True, "symmetric"):
            weights[result, place] += weight
    denominator = math.lcm(*(weight.denominator for weight in weights.flat))
    matrix = (weights * denominator).astype(np.int64)

    def is_half(columns: np.ndarray) -> np.ndarray:
        return (2 * (matrix @ columns)) % (2 * denominator) == denominator

    random = np.random.default_rng(7)
    found = np.zeros((size, 0), np.int64)
    while found.shape[1] < 6:
        columns = random.integers(0, 256, (size, 4096))
        found = np.hstack([found, columns[:, is_half(columns).any(axis=0)]])
    found = found[:, :6]
    return found.astype(np.uint8).T, is_half(found)
