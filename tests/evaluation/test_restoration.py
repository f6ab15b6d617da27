"""Faces restored into files, and PSNR and SSIM of them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.data.face_stream import Faces
from fsr_fer.evaluation.restoration import fidelity, write_restored
from fsr_fer.models.image_tensors import Restorer, as_picture, as_values
from fsr_fer.models.meta_sr import MetaSr
from tests.models.test_super_resolution import SMALL_META_SR
from tests.training.test_pretrain import faces


def test_restored_faces_are_the_chosen_ones_in_order(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MetaSr(SMALL_META_SR).eval()
    small = np.ascontiguousarray(faces(20).images[:, ::8, ::8])
    rows = np.array([19, 3, 4, 11, 0, 7, 8, 9, 10, 2])
    cpu, path = torch.device("cpu"), tmp_path / "x8.npy"
    write_restored(Restorer(network), Faces(small, rows), path, cpu, "")
    restored = np.load(path)
    with torch.inference_mode():
        expected = as_picture(network(as_values(torch.from_numpy(small[rows])), 100))
    # Sums may fall on either side of a half with another batch size.
    assert np.abs(restored.astype(int) - expected.numpy().astype(int)).max() <= 1
    assert restored.shape == (10, 100, 100, 3)


def test_fidelity_against_values_by_hand() -> None:
    full = np.full((3, 100, 100, 3), 100, np.uint8)
    brighter = full + 10
    result = fidelity(Faces(full, np.arange(3)), Faces(brighter, np.arange(3)))
    assert result["psnr"] == pytest.approx(20 * math.log10(255 / 10), abs=1e-3)
    # Flat windows: only the luminance term (2ab + c1) / (a^2 + b^2 + c1), c1 = (0.01 * 255)^2.
    c1 = (0.01 * 255) ** 2
    assert result["ssim"] == pytest.approx((2 * 100 * 110 + c1) / (100**2 + 110**2 + c1), abs=1e-4)
    equal = fidelity(Faces(full, np.arange(3)), Faces(full, np.arange(3)))
    assert equal == {"psnr": round(10 * math.log10(255**2 * 30000), 3), "ssim": 1}
