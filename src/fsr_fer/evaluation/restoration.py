"""Small faces restored by image super-resolution: files, PSNR and SSIM."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from fsr_fer.common.arrays import writing_array
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.face_stream import Faces, batch_size, batches_of, computed
from fsr_fer.models.image_tensors import Restorer


def write_restored(
    restorer: Restorer, faces: Faces, path: Path, device: torch.device, desc: str
) -> None:
    """Restore uint8 [N, n, n, 3] into a ``.npy`` file of uint8 [N, 100, 100, 3]."""
    restorer.to(device).eval()
    # Fewer at once than elsewhere: these networks keep much of each face.
    batches = batches_of(len(faces), batch_size(device, cpu=8, gpu=64))
    shape = (len(faces), FULL_SIZE, FULL_SIZE, 3)
    with writing_array(path, np.dtype(np.uint8), shape) as append:
        for pictures in computed(faces, batches, restorer, device, desc):
            append(pictures.numpy())


def fidelity(full: Faces, restored: Faces) -> dict[str, float]:
    """Mean PSNR in dB and SSIM (7x7 windows) over the faces, both on 8-bit RGB."""
    from skimage.metrics import mean_squared_error, structural_similarity

    def compare(batch: slice) -> list[tuple[float, float]]:
        values = []
        for a, b in zip(full.read(batch), restored.read(batch), strict=True):
            ssim = structural_similarity(a, b, channel_axis=2, data_range=255)
            values.append((psnr(mean_squared_error(a, b)), ssim))
        return values

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        parts = pool.map(compare, batches_of(len(full), 32))
        psnrs, ssims = zip(*itertools.chain.from_iterable(parts), strict=True)
    return {"psnr": round(fmean(psnrs), 3), "ssim": round(fmean(ssims), 4)}


def psnr(squared_error: float) -> float:
    """PSNR in dB of 8-bit pictures with this mean squared error.

    Equal faces have that of one grey level in a single one of their 30,000 values.
    """
    return 10 * math.log10(255**2 / max(float(squared_error), 1 / (3 * FULL_SIZE**2)))
