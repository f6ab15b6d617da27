"""Natural pictures of any size for image super-resolution, stored in two files.

``pixels.npy`` (uint8 [P, 3] RGB) holds all pixels, row by row, picture after picture;
``pictures.csv`` names each picture with its height and width.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.common.arrays import open_array

PIXELS, PICTURES = "pixels.npy", "pictures.csv"


@dataclass(frozen=True)
class NaturalPictures:
    """Packed pictures: ``pixels`` uint8 [P, 3], may lie on disk; ``shapes`` (height, width)."""

    pixels: np.ndarray
    shapes: tuple[tuple[int, int], ...]

    def crop(self, picture: int, top: int, left: int, side: int) -> np.ndarray:
        """A square of a picture, uint8 [side, side, 3]."""
        height, width = self.shapes[picture]
        start = sum(h * w for h, w in self.shapes[:picture])
        whole = self.pixels[start : start + height * width].reshape(height, width, 3)
        return np.array(whole[top : top + side, left : left + side])


def open_pictures(directory: Path) -> NaturalPictures:
    """Memory-map what ``pack_pictures`` wrote; UserError if it is not there."""
    pixels = open_array(directory / PIXELS)
    with open(directory / PICTURES, encoding="utf-8", newline="") as file:
        shapes = tuple((int(row["height"]), int(row["width"])) for row in csv.DictReader(file))
    return NaturalPictures(pixels, shapes)
