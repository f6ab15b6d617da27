"""From picture files to packed natural pictures (data/natural.py)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fsr_fer.arrays import writing_array
from fsr_fer.data.images import SUFFIXES, PictureError, decode_picture
from fsr_fer.data.natural import PICTURES, PIXELS
from fsr_fer.errors import UserError
from fsr_fer.files import write_text
from fsr_fer.progress import Track, quiet

SCIKIT_IMAGE = "scikit-image"
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
    "grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
"""What scikit-image installs of photographs; the right motorcycle is the left one again."""


def pack_pictures(source: str, directory: Path, *, track: Track = quiet) -> None:
    """Write the pictures of scikit-image, or of a folder, into ``directory``.

    Raises:
        UserError: the folder is missing or holds no pictures, or one of them cannot be read.
    """
    files = _files_of(source)
    shapes = [_decoded(file).shape[:2] for file in files]
    total = sum(height * width for height, width in shapes)
    pixels = directory / PIXELS
    with writing_array(pixels, np.dtype(np.uint8), (total, 3)) as append:
        for file in track(files, total=len(files), task="natural pictures"):
            append(_decoded(file).reshape(-1, 3))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "height", "width"])
    writer.writerows((file.name, *shape) for file, shape in zip(files, shapes, strict=True))
    write_text(directory / PICTURES, text.getvalue())


def _files_of(source: str) -> list[Path]:
    if source == SCIKIT_IMAGE:
        from skimage import data  # a package of its own; its folder is all that is needed

        return [Path(data.__file__).parent / name for name in PHOTOGRAPHS]
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(
            f"natural.pictures is {source!r}; allowed: {SCIKIT_IMAGE}, or a folder that is there"
        )
    files = list(_pictures_in(folder))
    if len(files) < 2:
        raise UserError(f"{folder} holds {len(files)} pictures; two are needed, one to validate on")
    return files


def _pictures_in(folder: Path) -> Iterator[Path]:
    yield from (f for f in sorted(folder.iterdir()) if f.suffix.lower() in SUFFIXES)


def _decoded(file: Path) -> np.ndarray:
    try:
        return decode_picture(file.read_bytes())
    except PictureError as error:
        raise UserError(f"{file} {error}") from None
