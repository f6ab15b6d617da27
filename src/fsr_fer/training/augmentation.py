"""Augmentation of train faces: rotated, mirrored, shifted, zoomed, partly hidden."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.training.settings.augmentation import AugmentSettings


@dataclass(frozen=True)
class Variation:
    """Random augmentation of each face of a batch; every field has one value per face, [B].

    ``angles`` in radians, counter-clockwise as seen; ``flips`` bool; ``zooms`` above 1 bring the
    face nearer; ``shifts`` [B, 2] in pixels, right and down; ``holes`` [B, 4] are left, top, right
    and bottom of a rectangle in pixels that is black.
    """

    angles: Tensor
    flips: Tensor
    zooms: Tensor
    shifts: Tensor
    holes: Tensor

    def of(self, part: slice) -> Self:
        """The variation of a part of the batch."""
        return type(self)(*(values[part] for values in vars(self).values()))


def draw_variation(settings: AugmentSettings, generator: torch.Generator, faces: int) -> Variation:
    """A random variation of ``faces`` full-size faces, uniform in the ranges of ``settings``."""
    turns = torch.rand(faces, generator=generator) * 2 - 1
    flips = torch.rand(faces, generator=generator) < (0.5 if settings.flip else 0.0)
    nearer = torch.rand(faces, generator=generator) * 2 - 1
    moved = torch.rand(faces, 2, generator=generator) * 2 - 1
    centre = torch.rand(faces, 2, generator=generator) * FULL_SIZE
    extent = torch.rand(faces, 2, generator=generator) * 40
    hidden = torch.rand(faces, generator=generator) < settings.hidden_share
    holes = torch.cat([centre - extent / 2, centre + extent / 2], dim=1) * hidden[:, None]
    return Variation(
        angles=turns * math.radians(settings.rotation_degrees),
        flips=flips,
        zooms=(nearer * math.log1p(settings.zoom)).exp(),
        shifts=moved * settings.shift_pixels,
        holes=holes,
    )


def vary(images: Tensor, variation: Variation) -> Tensor:
    """Apply the variation: float [B, H, W, 3] of 0..255 -> same; bicubic, black outside."""
    varied = images.permute(0, 3, 1, 2)
    height, width = varied.shape[2:]
    mirror = torch.where(variation.flips, -1.0, 1.0).to(varied)
    reach = 1 / variation.zooms.to(varied)
    cosine, sine = variation.angles.to(varied).cos(), variation.angles.to(varied).sin()
    # Rows give where an output pixel is read from: moved back, mirrored, rotated back, zoomed.
    right = variation.shifts[:, 0].to(varied) * 2 / width
    down = variation.shifts[:, 1].to(varied) * 2 / height
    a, b = mirror * cosine * reach, -sine * reach
    c, d = mirror * sine * reach, cosine * reach
    rows = [a, b, -(a * right + b * down), c, d, -(c * right + d * down)]
    matrix = torch.stack(rows, dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(matrix, list(varied.shape), align_corners=False)
    varied = functional.grid_sample(varied, grid, mode="bicubic", align_corners=False)
    hidden = _inside(variation.holes.to(varied), height, width)
    return (varied.clamp(0, 255) * ~hidden[:, None]).permute(0, 2, 3, 1)


def _inside(holes: Tensor, height: int, width: int) -> Tensor:
    """Which pixel centres lie in a face's rectangle, bool [B, H, W]."""
    rows = torch.arange(height, device=holes.device) + 0.5
    columns = torch.arange(width, device=holes.device) + 0.5
    left, top, right, bottom = (holes[:, i, None] for i in range(4))
    across = (columns >= left) & (columns < right)
    along = (rows >= top) & (rows < bottom)
    return along[:, :, None] & across[:, None, :]
