"""What can be told of each face's pixels without knowing who or what is on it; read in chunks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.data.manifest import pixel_sha256
from fsr_fer.errors import UserError
from fsr_fer.progress import Track, quiet

CHUNK = 64


@dataclass(frozen=True, kw_only=True)
class ImageStatistics:
    """One value per face, [N] each; ``shape`` and ``dtype`` are those of every face."""

    shape: str
    """As in ``100x100x3``."""
    dtype: str
    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    contrast: np.ndarray
    """Standard deviation over the pixels, averaged over the channels, in grey levels."""
    sha256: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sha256)


def open_images(path: Path) -> np.ndarray:
    """Map ``images.npy`` into memory, whatever shape and dtype it says.

    Raises:
        UserError: it is missing, damaged, or holds anything but whole numbers.
    """
    try:
        images: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as an array of faces: {error}") from error
    if images.dtype.kind not in "ui" or images.ndim < 3:
        raise UserError(
            f"{path} holds {images.dtype} {list(images.shape)}; expected uint8 [N, 100, 100, 3]"
        )
    return images


def image_statistics(images: np.ndarray, track: Track = quiet) -> ImageStatistics:
    """Look at every face of ``images`` [N, H, W] or [N, H, W, C], a chunk at a time."""
    count = len(images)
    values = np.zeros((4, count))
    hashes: list[str] = []
    starts = range(0, count, CHUNK)
    for start in track(starts, total=len(starts), task="looking at pixels"):
        chunk = np.asarray(images[start : start + CHUNK])
        pixels = chunk.reshape(len(chunk), chunk.shape[1] * chunk.shape[2], -1)
        place = slice(start, start + len(chunk))
        values[0, place] = pixels.min(axis=(1, 2))
        values[1, place] = pixels.max(axis=(1, 2))
        values[2, place] = pixels.mean(axis=(1, 2), dtype=np.float64)
        values[3, place] = pixels.std(axis=1, dtype=np.float64).mean(axis=1)
        hashes += [pixel_sha256(face) for face in chunk]
    return ImageStatistics(
        shape="x".join(str(length) for length in images.shape[1:]),
        dtype=str(images.dtype),
        minimum=values[0],
        maximum=values[1],
        mean=values[2],
        contrast=values[3],
        sha256=tuple(hashes),
    )
