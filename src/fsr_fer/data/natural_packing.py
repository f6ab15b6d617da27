"""Store natural pictures in the form that ``natural`` opens.

Apart from it, so that image super-resolution, which reads them, does not depend on image formats.
"""

import os
from pathlib import Path

import numpy as np

from fsr_fer.common.arrays import writing_array
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_csv
from fsr_fer.common.progress import progress
from fsr_fer.data.images import SUFFIXES, PictureError, decode_picture
from fsr_fer.data.natural import PICTURES, PIXELS

SCIKIT_IMAGE = "scikit-image"
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
    "grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
"""The photographs that scikit-image installs; the right motorcycle is nearly the left one."""


def pack_pictures(source: str, directory: Path) -> None:
    """Write the pictures of scikit-image, or of a folder, into ``directory``.

    UserError if the folder is missing or holds no pictures, or one of them cannot be read.
    """
    files = _files_of(source)
    shapes = [_decoded(file).shape[:2] for file in files]
    total = sum(height * width for height, width in shapes)
    with writing_array(directory / PIXELS, np.dtype(np.uint8), (total, 3)) as append:
        for file in progress(files, desc="natural pictures"):
            append(_decoded(file).reshape(-1, 3))
    # A name that is no UTF-8 is written with escapes.
    names = [os.fsencode(file.name).decode("utf-8", "backslashreplace") for file in files]
    rows = [(name, *shape) for name, shape in zip(names, shapes, strict=True)]
    write_csv(directory / PICTURES, ["name", "height", "width"], rows)


def _files_of(source: str) -> list[Path]:
    if source == SCIKIT_IMAGE:
        from skimage import data  # a package of its own; its folder is all that is needed

        return [Path(data.__file__).parent / name for name in PHOTOGRAPHS]
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(
            f"natural.pictures is {source!r}; allowed: {SCIKIT_IMAGE}, or a folder that is there"
        )
    found = folder.glob("[!.]*")  # "._0801.png" is what macOS leaves beside a picture
    files = sorted(file for file in found if file.suffix.lower() in SUFFIXES and file.is_file())
    if len(files) < 2:
        raise UserError(f"{folder} holds {len(files)} pictures; two are needed, one to validate on")
    return files


def _decoded(file: Path) -> np.ndarray:
    try:
        return decode_picture(file.read_bytes())
    except PictureError as error:
        raise UserError(f"{file} {error}") from None
