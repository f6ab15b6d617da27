"""The square that is cut for a box, pixel by pixel."""

import math

import numpy as np
import pytest

from fsr_fer.predict.faces import box_of, cut_square
from fsr_fer.predict.results import Box

# Pixel (row r, column c) of a picture 8 wide and 6 high is 10 r + c.
PICTURE = np.repeat((10 * np.arange(6)[:, None] + np.arange(8))[:, :, None], 3, 2).astype(np.uint8)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(2, 1, 2, 2), [[12, 13], [22, 23]]),
        # 1 x 4 pixels have the area of 2 x 2; the middle is (3.5, 3), so columns 2.5 to 4.5: 3, 4.
        (Box(3, 1, 1, 4), [[23, 24], [33, 34]]),
        # Outside the picture its edge is repeated.
        (Box(-1, -1, 3, 3), [[0, 0, 1], [0, 0, 1], [10, 10, 11]]),
        (Box(6, 4, 3, 3), [[46, 47, 47], [56, 57, 57], [56, 57, 57]]),
    ],
)
def test_a_square_of_the_area_of_a_box_is_cut_round_its_middle(
    box: Box, expected: list[list[int]]
) -> None:
    assert cut_square(PICTURE, box)[:, :, 0].tolist() == expected


def test_forms_of_a_box() -> None:
    assert box_of([1, 2, 4, 6], "xywh") == Box(1, 2, 4, 6)
    assert box_of(["1", "2", "4", "6.5"], "xyxy") == Box(1, 2, 3, 4.5)
    assert all(map(math.isnan, box_of([None, "", "a", True], "xywh")))
