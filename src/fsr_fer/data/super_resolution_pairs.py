"""Pairs of small and full-size pictures, which image super-resolution is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.errors import UserError
from fsr_fer.common.random_streams import stream
from fsr_fer.data.downsampling import downsample
from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.natural import NaturalPictures
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.resize import imresize


@dataclass(frozen=True)
class Pairs:
    """``small`` uint8 [B, n, n, 3] and ``full`` uint8 [B, N, N, 3] of the same pictures."""

    small: Tensor
    full: Tensor


class Patches:
    """Squares cut from natural pictures and downsampled, each batch by one of ``factors``.

    One picture in ten, at least one, is held out. Patches are cut first and downsampled then,
    so their edges are mirrored as those of whole faces are.
    """

    def __init__(
        self, pictures: NaturalPictures, factors: Sequence[float], patch_pixels: int, seed: int
    ) -> None:
        self.pictures, self.factors, self.patch_pixels = pictures, factors, patch_pixels
        side = self._full(max(factors))
        fitting = [i for i, shape in enumerate(pictures.shapes) if min(shape) >= side]
        if len(fitting) < 2:
            raise UserError(
                f"{len(fitting)} natural pictures are {side} pixels or larger each way; two are "
                f"needed for patches of {patch_pixels} pixels enlarged {max(factors):g} times"
            )
        order = torch.randperm(len(fitting), generator=stream(seed, "sr", "held out")).tolist()
        held = max(1, len(fitting) // 10)
        self._held = [fitting[i] for i in order[:held]]
        self._train = [fitting[i] for i in order[held:]]

    def draw(self, generator: torch.Generator, count: int) -> Pairs:
        """``count`` pairs of one size, at random."""
        factor = self.factors[int(torch.randint(len(self.factors), (), generator=generator))]
        full = [self._cut(self._train, factor, generator) for _ in range(count)]
        return self._pairs(np.stack([_rotated_or_mirrored(patch, generator) for patch in full]))

    def held_out(self, generator: torch.Generator, count: int) -> list[Pairs]:
        """About ``count`` pairs from held-out pictures, sorted by size."""
        chosen = sorted({self.factors[0], self.factors[len(self.factors) // 2], self.factors[-1]})
        each = max(1, count // len(chosen))
        return [
            self._pairs(np.stack([self._cut(self._held, f, generator) for _ in range(each)]))
            for f in chosen
        ]

    def _full(self, factor: float) -> int:
        return int(factor * self.patch_pixels + 1e-9)

    def _cut(self, among: list[int], factor: float, generator: torch.Generator) -> np.ndarray:
        side = self._full(factor)
        picture = among[int(torch.randint(len(among), (), generator=generator))]
        height, width = self.pictures.shapes[picture]
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        return self.pictures.crop(picture, top, left, side)

    def _pairs(self, full: np.ndarray) -> Pairs:
        small = imresize(full, output_shape=(self.patch_pixels, self.patch_pixels))
        return Pairs(torch.from_numpy(small), torch.from_numpy(full))


@dataclass(frozen=True)
class WholeFaces:
    """Train faces downsampled, each batch by one of ``scales``; validation faces are held out."""

    train: LabelledFaces
    validation: LabelledFaces
    scales: Sequence[int]
    settings: DownsampleSettings

    def draw(self, generator: torch.Generator, count: int) -> Pairs:
        """``count`` pairs of one size, at random."""
        scale = self.scales[int(torch.randint(len(self.scales), (), generator=generator))]
        positions = torch.randint(len(self.train), (count,), generator=generator)
        faces, _ = self.train.batch(positions)
        # Mirrored only: a face lies one way up, and so do the pixels that imresize adds below it.
        flips = torch.rand(count, generator=generator) < 0.5
        return self._pairs(torch.where(flips[:, None, None, None], faces.flip(2), faces), scale)

    def held_out(self, generator: torch.Generator, count: int) -> list[Pairs]:
        """About ``count`` pairs of validation faces, sorted by size."""
        some = min(len(self.validation), max(1, count // len(self.scales)))
        positions = torch.randperm(len(self.validation), generator=generator)[:some]
        faces, _ = self.validation.batch(positions)
        return [self._pairs(faces, scale) for scale in self.scales]

    def _pairs(self, faces: Tensor, scale: int) -> Pairs:
        small = downsample(np.ascontiguousarray(faces.numpy()), scale, self.settings)
        return Pairs(torch.from_numpy(small), faces)


def _rotated_or_mirrored(patch: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """One of the eight ways a square can lie."""
    way = int(torch.randint(8, (), generator=generator))
    rotated = np.rot90(patch, way % 4)
    return np.ascontiguousarray(rotated[:, ::-1] if way >= 4 else rotated)
