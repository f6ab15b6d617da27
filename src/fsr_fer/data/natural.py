"""Natural pictures for image super-resolution, packed into two files whatever their sizes.

``pixels.npy`` (uint8 [P, 3] RGB) holds all pixels, row by row, picture after picture;
``pictures.csv`` names each picture with its height and width.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.errors import UserError

PIXELS, PICTURES = "pixels.npy", "pictures.csv"


@dataclass(frozen=True)
class NaturalPictures:
    """Packed pictures: ``pixels`` uint8 [P, 3], may lie on disk; ``shapes`` (height, width)."""

    pixels: np.ndarray
    names: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.shapes)

    def large_enough(self, side: int) -> list[int]:
        """Positions of the pictures that a square of ``side`` pixels fits into."""
        return [i for i, shape in enumerate(self.shapes) if min(shape) >= side]

    def crop(self, picture: int, top: int, left: int, side: int) -> np.ndarray:
        """A square of a picture, uint8 [side, side, 3]."""
        height, width = self.shapes[picture]
        if not (0 <= top <= height - side and 0 <= left <= width - side):
            raise ValueError(f"({top}, {left}) + {side} is not within {height}x{width}")
        start = sum(h * w for h, w in self.shapes[:picture])
        whole = self.pixels[start : start + height * width].reshape(height, width, 3)
        return np.array(whole[top : top + side, left : left + side])


def open_pictures(directory: Path) -> NaturalPictures:
    """Memory-map what ``pack_pictures`` wrote.

    Raises:
        UserError: it is not there.
    """
    try:
        pixels = np.load(directory / PIXELS, mmap_mode="r", allow_pickle=False)
        with open(directory / PICTURES, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `dvc repro` writes it") from None
    return NaturalPictures(
        pixels,
        tuple(row["name"] for row in rows),
        tuple((int(row["height"]), int(row["width"])) for row in rows),
    )
