"""Small faces restored by image super-resolution, and how near they come to the full-size ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from fsr_fer.arrays import writing_array
from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.features.extraction import Faces, cuts_of, stream
from fsr_fer.models.super_resolution import Restorer
from fsr_fer.progress import Track, quiet

BATCH = {"cpu": 8, "cuda": 64}
"""Faces restored at once: full-size networks keep much of each."""


def write_restored(
    restorer: Restorer,
    faces: Faces,
    path: Path,
    device: torch.device,
    *,
    track: Track = quiet,
    task: str = "restore",
) -> None:
    """Restore small faces, uint8 [N, n, n, 3], into a ``.npy`` file of uint8 [N, 100, 100, 3]."""
    restorer.to(device).eval()

    @torch.inference_mode()
    def compute(batch: np.ndarray) -> Tensor:
        small = torch.from_numpy(np.ascontiguousarray(batch)).to(device)
        restored: Tensor = restorer(small)
        return restored

    cuts = cuts_of(0, len(faces.rows), BATCH.get(device.type, BATCH["cpu"]))
    made = stream(faces, cuts, compute, lambda pictures: pictures.cpu().numpy(), device)
    shape = (len(faces.rows), IMAGE_SIZE, IMAGE_SIZE, 3)
    with writing_array(path, np.dtype(np.uint8), shape) as append:
        for pictures in track(made, total=len(cuts), task=task):
            append(pictures)


def fidelity(full: Faces, restored: Faces, threads: int) -> dict[str, float]:
    """Mean PSNR in dB and SSIM over the faces, both on 8-bit RGB.

    SSIM (scikit-image) is that of 7x7 windows, the mean over the three channels.
    """
    from skimage.metrics import structural_similarity

    def compare(cut: tuple[int, int]) -> list[tuple[float, float]]:
        pairs = zip(full.read(*cut), restored.read(*cut), strict=True)
        return [
            (_psnr(a, b), structural_similarity(a, b, channel_axis=2, data_range=255))
            for a, b in pairs
        ]

    with ThreadPoolExecutor(threads) as pool:
        values = [v for part in pool.map(compare, cuts_of(0, len(full.rows), 32)) for v in part]
    return {
        "psnr": round(fmean(psnr for psnr, _ in values), 3),
        "ssim": round(fmean(ssim for _, ssim in values), 4),
    }


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR in dB; of equal faces, that of one grey level in a single value."""
    from skimage.metrics import mean_squared_error

    error = max(float(mean_squared_error(first, second)), 1 / first.size)
    return float(10 * np.log10(255**2 / error))
