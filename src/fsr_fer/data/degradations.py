"""Degradations of small faces: other resizing, JPEG, blur, noise, brightness.

Each takes one face at its own resolution, uint8 [n, n, 3], and returns the same shape, except that
``shrink`` returns [pixels, pixels, 3].
"""

import io
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

Kernel = Literal["area", "nearest"]
PILLOWS = {"area": Image.Resampling.BOX, "nearest": Image.Resampling.NEAREST}


def shrink(face: np.ndarray, pixels: int, kernel: Kernel) -> np.ndarray:
    """A face downsampled to ``pixels`` by area averaging or by the nearest pixel."""
    return np.array(Image.fromarray(face).resize((pixels, pixels), PILLOWS[kernel]))


def jpeg(face: np.ndarray, quality: int) -> np.ndarray:
    """A face compressed as JPEG of this quality, 1 to 95, and decoded."""
    stored = io.BytesIO()
    Image.fromarray(face).save(stored, "JPEG", quality=quality)
    return np.array(Image.open(stored))


def blur(face: np.ndarray, sigma: float) -> np.ndarray:
    """A face blurred by a Gaussian of ``sigma`` pixels."""
    return np.array(Image.fromarray(face).filter(ImageFilter.GaussianBlur(sigma)))


def add(face: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """A face plus ``noise``, float [n, n, 3] in grey levels, rounded and clipped to 0..255."""
    return np.clip(np.rint(face + noise), 0, 255).astype(np.uint8)


def brighten(face: np.ndarray, gain: float) -> np.ndarray:
    """A face with all levels times ``gain``, rounded and clipped at 255."""
    return np.clip(np.rint(face * gain), 0, 255).astype(np.uint8)
