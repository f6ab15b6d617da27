"""Features written to a file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.data.face_stream import Faces
from fsr_fer.features.extraction import write_features
from fsr_fer.features.packing import unpack
from fsr_fer.models.covpool import CovPoolFER, FeatureExtractor, standardise
from tests import sections
from tests.data.test_downsampling import faces

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    torch.manual_seed(0)
    return CovPoolFER(sections.extractor(), 3).eval().requires_grad_(False).extractor


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return faces(70)


def write(
    extractor: FeatureExtractor, faces: Faces, path: Path, dtype: str = "float32"
) -> np.ndarray:
    write_features(extractor, faces, path, np.dtype(dtype), CPU)
    written: np.ndarray = np.load(path)
    return written


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_written_features_are_the_extractors(
    tmp_path: Path, extractor: FeatureExtractor, images: np.ndarray, dtype: str
) -> None:
    rows = np.arange(69, 1, -1)
    written = write(extractor, Faces(images, rows), tmp_path / "hr.npy", dtype)
    assert (written.shape, written.dtype) == ((68, 36), np.dtype(dtype))
    expected = extractor(standardise(torch.from_numpy(images[rows[36:44]])))
    tolerance = {"float32": 1e-4, "float16": 1e-2}[dtype]
    read = unpack(torch.from_numpy(written[36:44]).to(torch.float32))
    torch.testing.assert_close(read, expected, rtol=0, atol=tolerance)
    assert [path.name for path in tmp_path.iterdir()] == ["hr.npy"]


def test_means_are_written_whole(tmp_path: Path, images: np.ndarray) -> None:
    torch.manual_seed(0)
    settings = sections.extractor(pooling="mean", widths=(4, 6, 8, 8, 12, 16), bimap_dim=4)
    extractor = CovPoolFER(settings, 3).eval().requires_grad_(False).extractor
    rows = np.arange(40)
    written = write(extractor, Faces(images, rows), tmp_path / "hr.npy")
    expected = extractor(standardise(torch.from_numpy(images[rows[32:]])))
    torch.testing.assert_close(torch.from_numpy(written[32:]), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(expected, expected.mT)


def test_a_run_that_stops_leaves_what_was_there(
    tmp_path: Path, extractor: FeatureExtractor, images: np.ndarray
) -> None:
    path = tmp_path / "hr.npy"
    before = write(extractor, Faces(images, np.arange(40)), path)

    class Stopping(Faces):
        def read(self, batch: slice) -> np.ndarray:
            if batch.start >= 40:
                raise KeyboardInterrupt
            return super().read(batch)

    with pytest.raises(KeyboardInterrupt):
        write(extractor, Stopping(images, np.arange(70)), path)
    np.testing.assert_array_equal(np.load(path), before)
    assert [file.name for file in tmp_path.iterdir()] == ["hr.npy"]
