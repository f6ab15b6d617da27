"""Augmentation of train faces: rotated, mirrored, shifted, zoomed, partly hidden."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fsr_fer.training.augmentation import Variation, draw_variation, vary
from tests import sections


def picture() -> Tensor:
    """[1, 40, 40, 3], smooth, different in every direction, far from 0 and 255."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    return torch.stack([60 + 2 * x + y, 60 + 3 * y, 220 - 3 * x], dim=-1)[None]


def variation(faces: int = 1, **changes: Tensor) -> Variation:
    unchanged = Variation(
        angles=torch.zeros(faces),
        flips=torch.zeros(faces, dtype=torch.bool),
        zooms=torch.ones(faces),
        shifts=torch.zeros(faces, 2),
        holes=torch.zeros(faces, 4),
    )
    return replace(unchanged, **changes)


@pytest.mark.parametrize(
    ("degrees", "flip", "expected"),
    [
        (0.0, True, lambda p: p.flip(2)),
        (90.0, False, lambda p: torch.rot90(p, 1, (1, 2))),
        (90.0, True, lambda p: torch.rot90(p, 1, (1, 2)).flip(2)),
    ],
)
def test_quarter_rotations_and_mirrors(degrees: float, flip: bool, expected: Any) -> None:
    change = {"angles": torch.tensor([math.radians(degrees)]), "flips": torch.tensor([flip])}
    result = vary(picture(), variation(**change))
    torch.testing.assert_close(result, expected(picture()), rtol=0, atol=0.01)


def test_rotation_keeps_range_and_blackens_corners() -> None:
    white = torch.full((2, 40, 40, 3), 255.0)
    result = vary(white, variation(2, angles=torch.tensor([0.17, -0.17])))
    assert (result.min(), result.max()) == (0, 255)
    assert result[:, 0, 0].max() == 0
    assert result[:, 20, 20].min() > 254.99


def test_a_part_of_a_batch_is_varied_as_in_the_whole() -> None:
    drawn = draw_variation(sections.augment(), torch.Generator().manual_seed(3), 5)
    pictures = picture().repeat(5, 1, 1, 1)
    part = vary(pictures[2:4], drawn.of(slice(2, 4)))
    torch.testing.assert_close(part, vary(pictures, drawn)[2:4])


def test_a_shift_moves_the_finished_face_right_and_down() -> None:
    change = {"angles": torch.tensor([math.pi / 2]), "flips": torch.tensor([True])}
    still = vary(picture(), variation(**change))
    moved = vary(picture(), variation(shifts=torch.tensor([[3.0, 5.0]]), **change))
    torch.testing.assert_close(moved[:, 7:, 5:], still[:, 2:-5, 2:-3], rtol=0, atol=0.02)
    assert moved[:, 0, 0].abs().max() == 0


def test_zoom_brings_the_middle_nearer() -> None:
    near = vary(picture(), variation(zooms=torch.tensor([2.0])))
    # Two pixels of the result are one of the picture, and its middle stays where it is.
    steps = near[:, 5:-5, 7:-5] - near[:, 5:-5, 5:-7]
    before = picture().diff(dim=2)[:, 5:-5, :1]
    torch.testing.assert_close(steps, before.expand_as(steps), rtol=0, atol=0.01)
    middle = (slice(None), slice(19, 21), slice(19, 21))
    torch.testing.assert_close(
        near[middle].mean((1, 2)), picture()[middle].mean((1, 2)), rtol=0, atol=0.01
    )


def test_a_hole_is_black_exactly_where_it_is() -> None:
    hidden = vary(picture(), variation(holes=torch.tensor([[10.0, 4.0, 13.0, 9.0]])))
    black = torch.zeros(40, 40, dtype=torch.bool)
    black[4:9, 10:13] = True
    assert torch.equal((hidden[0] == 0).all(dim=-1), black)


def test_draws_stay_within_the_settings_and_use_their_whole_range() -> None:
    drawn = draw_variation(sections.augment(), torch.Generator().manual_seed(3), 4000)
    for values, reach in (
        (drawn.angles, math.radians(10)),
        (drawn.zooms.log(), math.log(1.1)),
        (drawn.shifts, 4.0),
    ):
        assert 0.98 * reach < values.abs().max() <= reach * (1 + 1e-6)
        assert abs(values.mean()) < 0.05 * reach
    assert drawn.flips.float().mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn.holes.abs().sum(dim=1) > 0).float().mean() == pytest.approx(0.3, abs=0.03)
