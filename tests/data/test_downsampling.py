"""Small faces: their sizes, their geometry, the way back."""

from pathlib import Path

import numpy as np
import pytest

from fsr_fer.data.downsampling import downsample, restore, write_downsampled
from fsr_fer.resize import imresize
from tests.sections import downsample as settings

SIZES = {2: 50, 3: 34, 4: 25, 5: 20, 6: 17, 7: 15, 8: 13}


def faces(count: int) -> np.ndarray:
    generator = np.random.default_rng(count)
    coarse = generator.integers(0, 256, (count, 20, 20, 3)).astype(np.uint8)
    return imresize(coarse, output_shape=(100, 100))


@pytest.mark.parametrize("form", ["scale", "size"])
def test_small_faces_have_the_papers_sizes_and_come_back(form: str) -> None:
    for scale, side in SIZES.items():
        small = downsample(faces(2), scale, settings(form=form))
        assert (small.shape, small.dtype) == ((2, side, side, 3), np.uint8)
        for choice in ("resize", "crop"):
            full = restore(small, scale, settings(form=form, restore=choice))
            assert full.shape == (2, 100, 100, 3)


def test_crop_undoes_the_geometry_that_resize_shrinks() -> None:
    """At x3 the 34 pixels cover 102: stretching them to 100 moves content, cropping does not."""
    ramp = np.linspace(0, 250, 100).round().astype(np.uint8)
    image = np.broadcast_to(ramp[None, None, :, None], (1, 100, 100, 3))
    small = downsample(image, 3, settings())
    cropped = restore(small, 3, settings(restore="crop"))[0, 50, 10:90, 0].astype(float)
    stretched = restore(small, 3, settings(restore="resize"))[0, 50, 10:90, 0].astype(float)
    assert np.abs(cropped - ramp[10:90]).max() <= 1.5
    assert np.abs(stretched - ramp[10:90]).max() > 3


def test_written_small_faces_equal_those_of_one_call(tmp_path: Path) -> None:
    images = faces(70)  # more than a batch
    write_downsampled(images, tmp_path / "x8.npy", 8, settings())
    np.testing.assert_array_equal(np.load(tmp_path / "x8.npy"), downsample(images, 8, settings()))
