"""The square of a picture that a face fills, and that square at the network's size."""

import math
from collections.abc import Sequence

import numpy as np

from fsr_fer.data.images import middle_square
from fsr_fer.predict.results import Box

LARGEST_CROP = 200
"""Pixels; a larger picture is taken for a scene, in which faces are looked for."""
LARGEST_BOX = 2
"""Times the picture's width or height; a larger box is a mistake."""


class BoxError(ValueError):
    """An invalid box; the message says why."""


def is_crop(width: int, height: int) -> bool:
    """Whether a picture of this size is taken for one face by default."""
    return max(width, height) <= LARGEST_CROP


def box_of(numbers: Sequence[object], form: str) -> Box:
    """Four numbers as a box: of form ``xywh``, or ``xyxy`` (two opposite corners).

    What is no number becomes NaN, which ``cut_square`` refuses with the rest of what is wrong.
    """
    first, second, third, fourth = map(_number, numbers)
    if form == "xyxy":
        third, fourth = third - first, fourth - second
    return Box(first, second, third, fourth)


def _number(value: object) -> float:
    # Python alone reads 1_0 as 10.
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def cut_square(rgb: np.ndarray, box: Box | None) -> np.ndarray:
    """Cut the square round a box's middle out of a picture [H, W, 3]: [side, side, 3].

    Its side, in whole pixels, is the root of the box's area. Outside the picture edge pixels are
    repeated. Without a box it is the central square.
    BoxError if the box has no size or is far too large, lies outside, or is not finite.
    """
    if box is None:
        return middle_square(rgb)
    if not all(map(math.isfinite, box)):
        raise BoxError("the box is not four finite numbers")
    if box.width <= 0 or box.height <= 0:
        raise BoxError(f"the box is {box.width:g} x {box.height:g} pixels; both must be above 0")
    height, width, _ = rgb.shape
    if box.x >= width or box.y >= height or box.x + box.width <= 0 or box.y + box.height <= 0:
        raise BoxError(f"the box lies outside the picture of {width} x {height} pixels")
    if box.width > LARGEST_BOX * width or box.height > LARGEST_BOX * height:
        raise BoxError(
            f"the box of {box.width:g} x {box.height:g} pixels is more than {LARGEST_BOX} times "
            f"the picture of {width} x {height}"
        )
    side = max(1, math.floor(math.sqrt(box.width * box.height) + 0.5))
    left = math.floor(box.x + box.width / 2 - side / 2 + 0.5)
    top = math.floor(box.y + box.height / 2 - side / 2 + 0.5)
    if not (-side < left < width and -side < top < height):  # of a narrow box near the edge
        raise BoxError(f"its square of {side} pixels lies outside the picture")
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return rgb[rows[:, None], columns]
