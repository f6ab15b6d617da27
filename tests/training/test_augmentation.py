"""Variations of train faces: turned, mirrored, moved, nearer, partly hidden."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from fsr_fer.training.augmentation import Variation, draw_variation, vary
from fsr_fer.training.pretrain import augment
from tests import sections


def picture() -> Tensor:
    """One smooth picture [1, 40, 40, 3], different in every direction, far from 0 and 255."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    return torch.stack([60 + 2 * x + y, 60 + 3 * y, 220 - 3 * x], dim=-1)[None]


def variation(**changes: Any) -> Variation:
    values: dict[str, Any] = {
        "angles": torch.zeros(1),
        "flips": torch.tensor([False]),
        "zooms": torch.ones(1),
        "shifts": torch.zeros(1, 2),
        "holes": torch.zeros(1, 4),
    }
    return Variation(**values | changes)


def test_nothing_changes_without_a_variation() -> None:
    torch.testing.assert_close(vary(picture(), variation()), picture(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_turning_and_mirroring_are_those_of_the_pretraining(flip: bool) -> None:
    angles, flips = torch.tensor([0.3]), torch.tensor([flip])
    torch.testing.assert_close(
        vary(picture(), variation(angles=angles, flips=flips)), augment(picture(), angles, flips)
    )


@pytest.mark.parametrize("angle", [0.0, math.pi / 2])
@pytest.mark.parametrize("flip", [False, True])
def test_a_shift_moves_the_finished_face_right_and_down(angle: float, flip: bool) -> None:
    change = {"angles": torch.tensor([angle]), "flips": torch.tensor([flip])}
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


def test_switched_off_settings_vary_nothing() -> None:
    off = sections.augment(
        rotation_degrees=0.0, flip=False, zoom=0.0, shift_pixels=0.0, hidden_share=0.0
    )
    drawn = draw_variation(off, torch.Generator().manual_seed(3), 5)
    result = vary(picture().repeat(5, 1, 1, 1), drawn)
    torch.testing.assert_close(result, picture().repeat(5, 1, 1, 1), rtol=0, atol=1e-3)
