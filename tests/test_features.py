"""Small faces, packed features and the tables read from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.downsampling import downsample, restore, write_downsampled
from fsr_fer.errors import UserError
from fsr_fer.evaluation import classify_features, predict
from fsr_fer.features import FeaturePairs, open_features, pack, unpack, write_features
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize
from fsr_fer.settings import DownsampleSettings
from tests import sections

CPU = torch.device("cpu")
SIZES = {2: 50, 3: 34, 4: 25, 5: 20, 6: 17, 7: 15, 8: 13}


def settings(form: str = "scale", restore: str = "resize") -> DownsampleSettings:
    return DownsampleSettings(form=form, boundary="symmetric", restore=restore)  # type: ignore[arg-type]


def faces(count: int) -> np.ndarray:
    generator = np.random.default_rng(count)
    coarse = generator.integers(0, 256, (count, 20, 20, 3)).astype(np.uint8)
    return imresize(coarse, output_shape=(100, 100))


@pytest.mark.parametrize("form", ["scale", "size"])
@pytest.mark.parametrize(("scale", "side"), SIZES.items())
def test_small_faces_have_the_papers_sizes_and_come_back(scale: int, side: int, form: str) -> None:
    small = downsample(faces(2), scale, settings(form))
    assert small.shape == (2, side, side, 3)
    assert small.dtype == np.uint8
    for choice in ("resize", "crop"):
        assert restore(small, scale, settings(form, choice)).shape == (2, 100, 100, 3)


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


def test_triangles_round_trip() -> None:
    matrices = torch.randn(3, 5, 5)
    matrices = matrices + matrices.mT
    packed = pack(matrices)
    assert packed.shape == (3, 15)
    assert packed[0, :5].tolist() == matrices[0, 0].tolist()
    assert torch.equal(unpack(packed), matrices)


def test_a_size_that_is_no_triangle_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no triangle"):
        unpack(torch.zeros(1, 16))


@pytest.fixture(scope="module")
def network() -> CovPoolFER:
    torch.manual_seed(0)
    return CovPoolFER(sections.extractor(), 3).eval().requires_grad_(False)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_written_features_are_the_extractors(
    tmp_path: Path, network: CovPoolFER, dtype: str
) -> None:
    images, rows = faces(70), np.arange(69, 1, -1)
    path = tmp_path / "hr.npy"
    write_features(network.extractor, images, rows, path, restored=None, dtype=dtype, device=CPU)
    table = open_features(path, 68)
    assert table.dtype == dtype
    expected = network.extractor(standardise(torch.from_numpy(images[rows[:4]])))
    tolerance = 1e-4 if dtype == "float32" else 1e-2
    torch.testing.assert_close(
        unpack(torch.from_numpy(np.array(table[:4], np.float32))), expected, rtol=0, atol=tolerance
    )


def test_features_of_small_faces_are_those_of_the_restored_ones(
    tmp_path: Path, network: CovPoolFER
) -> None:
    images = faces(6)
    small = downsample(images, 6, settings())
    for name, source, how in (
        ("a", small, (6, settings())),
        ("b", restore(small, 6, settings()), None),
    ):
        write_features(
            network.extractor,
            source,
            np.arange(6),
            tmp_path / f"{name}.npy",
            restored=how,
            dtype="float32",
            device=CPU,
        )
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_a_table_of_other_faces_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x2.npy", np.zeros((5, 6), np.float32))
    with pytest.raises(UserError, match="holds 5 faces, the manifest has 4"):
        open_features(tmp_path / "x2.npy", 4)
    (tmp_path / "x3.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match="not a readable feature file"):
        open_features(tmp_path / "x3.npy", 4)


def test_batches_mix_scales_per_face() -> None:
    def table(value: int) -> np.ndarray:
        return np.full((4, 3), value, np.float32) + np.arange(4, dtype=np.float32)[:, None] / 10

    pairs = FeaturePairs(table(1), {2: table(2), 8: table(8)}, np.array([0, 1, 2, 0]))
    lr, hr, labels = pairs.batch(torch.tensor([3, 1, 2]), torch.tensor([8, 2, 8]), CPU)
    assert lr.shape == hr.shape == (3, 1, 2, 2)
    torch.testing.assert_close(lr[:, 0, 0, 1], torch.tensor([8.3, 2.1, 8.2]))
    torch.testing.assert_close(hr[:, 0, 1, 0], torch.tensor([1.3, 1.1, 1.2]))
    assert labels.tolist() == [0, 1, 2]


def test_only_small_faces_go_through_the_generator(network: CovPoolFER) -> None:
    generator = torch.Generator().manual_seed(1)
    tables = [pack(m + m.mT).numpy() for m in torch.randn(2, 9, 8, 8, generator=generator)]

    class Zero(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(features)

    plain = predict(tables[0], {4: tables[1]}, network.classifier, None, CPU)
    zeroed = predict(tables[0], {4: tables[1]}, network.classifier, Zero(), CPU)
    np.testing.assert_array_equal(plain["hr"], zeroed["hr"])
    assert len(set(zeroed["x4"])) == 1
    _, logits = network.classifier(unpack(torch.from_numpy(tables[1])))
    np.testing.assert_array_equal(plain["x4"], logits.argmax(dim=1).numpy())
    assert classify_features(tables[0][:0], network.classifier, None, CPU).shape == (0,)
