"""Faces downsampled, and resized back to full size (paper, section 4.1)."""

from pathlib import Path

import numpy as np

from fsr_fer.common.arrays import writing_array
from fsr_fer.common.progress import progress
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.resize import Image, imresize

BATCH = 64


def restore(images: Image, scale: int, settings: DownsampleSettings) -> Image:
    """Small faces back to full size, uint8 [B, h, w, 3] -> [B, 100, 100, 3], array or tensor.

    "resize" stretches to 100x100, as the paper's Meta-SR does (of bicubic it does not say); "crop"
    enlarges by the factor and cuts the top left, which undoes ``downsample``'s geometry exactly.
    """
    if settings.restore == "resize":
        return imresize(images, output_shape=(FULL_SIZE, FULL_SIZE), boundary=settings.boundary)
    enlarged = imresize(images, scale=scale, boundary=settings.boundary)
    return enlarged[:, :FULL_SIZE, :FULL_SIZE]


def downsample(images: np.ndarray, scale: int, settings: DownsampleSettings) -> np.ndarray:
    """Full-size faces downsampled, uint8 [B, 100, 100, 3] -> uint8 [B, h, w, 3], h = ceil(100 / s).

    MATLAB's bicubic by factor ("scale") or output size; they differ where 100 / s is not whole.
    """
    if settings.form == "scale":
        return imresize(images, scale=1 / scale, boundary=settings.boundary)
    side = small_side(scale)
    return imresize(images, output_shape=(side, side), boundary=settings.boundary)


def small_side(scale: int) -> int:
    """Height and width of a face downsampled by ``scale``, in pixels: ceil(100 / scale)."""
    return -(-FULL_SIZE // scale)


def write_downsampled(
    images: np.ndarray, path: Path, scale: int, settings: DownsampleSettings
) -> None:
    """Downsample all faces, uint8 [N, 100, 100, 3], into one ``.npy`` file, uint8 [N, n, n, 3]."""
    shape = (len(images), small_side(scale), small_side(scale), 3)
    with writing_array(path, np.dtype(np.uint8), shape) as append:
        for start in progress(range(0, len(images), BATCH), desc=f"downsample x{scale}"):
            append(downsample(np.asarray(images[start : start + BATCH]), scale, settings))
