"""Natural pictures of any size for image super-resolution, stored in two files.

``pixels.npy`` (uint8 [P, 3] RGB) holds all pixels, row by row, picture after picture;
``pictures.csv`` names each picture with its height and width.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.common.arrays import open_array, writing_array
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv
from fsr_fer.common.progress import progress
from fsr_fer.data.images import SUFFIXES, PictureError, decode_picture

PIXELS, PICTURES = "pixels.npy", "pictures.csv"

SCIKIT_IMAGE = "scikit-image"
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
    "grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
"""The photographs that scikit-image installs; the right motorcycle is nearly the left one."""


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


def pack_pictures(source: str, directory: Path) -> None:
    """Write the pictures of scikit-image, or of a folder, into ``directory``.

    Raises:
        UserError: the folder is missing or holds no pictures, or one of them cannot be read.
    """
    files = _files_of(source)
    shapes = [_decoded(file).shape[:2] for file in files]
    total = sum(height * width for height, width in shapes)
    with writing_array(directory / PIXELS, np.dtype(np.uint8), (total, 3)) as append:
        for file in progress(files, desc="natural pictures"):
            append(_decoded(file).reshape(-1, 3))
    rows = [(file.name, *shape) for file, shape in zip(files, shapes, strict=True)]
    write_csv(directory / PICTURES, ["name", "height", "width"], rows)


def open_pictures(directory: Path) -> NaturalPictures:
    """Memory-map what ``pack_pictures`` wrote; UserError if it is not there."""
    pixels = open_array(directory / PIXELS)
    with open(directory / PICTURES, encoding="utf-8", newline="") as file:
        shapes = tuple((int(row["height"]), int(row["width"])) for row in csv.DictReader(file))
    return NaturalPictures(pixels, shapes)


def _files_of(source: str) -> list[Path]:
    if source == SCIKIT_IMAGE:
        from skimage import data  # a package of its own; its folder is all that is needed

        return [Path(data.__file__).parent / name for name in PHOTOGRAPHS]
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(
            f"natural.pictures is {source!r}; allowed: {SCIKIT_IMAGE}, or a folder that is there"
        )
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if len(files) < 2:
        raise UserError(f"{folder} holds {len(files)} pictures; two are needed, one to validate on")
    return files


def _decoded(file: Path) -> np.ndarray:
    try:
        return decode_picture(file.read_bytes())
    except PictureError as error:
        raise UserError(f"{file} {error}") from None
