"""RCAN and Meta-SR: what each pixel is made of."""

import pytest
import torch

from fsr_fer.models.image_tensors import as_picture
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings

SMALL_RCAN = RcanSettings(groups=2, blocks=3, filters=8, reduction=4)
SMALL_META_SR = MetaSrSettings(filters=4, growth=3, blocks=2, layers=2, hidden=5)


def meta_sr() -> MetaSr:
    torch.manual_seed(3)
    return MetaSr(SMALL_META_SR).double().eval()


@pytest.mark.parametrize(("size", "full"), [(4, 16), (17, 50), (7, 10)])
def test_meta_upscale_is_the_loop_over_pixels(size: int, full: int) -> None:
    network = meta_sr()
    features = torch.randn(2, 4, size, size, dtype=torch.float64)
    ratio = full / size
    padded = torch.nn.functional.pad(features, (1, 1, 1, 1))
    expected = torch.zeros(2, 3, full, full, dtype=torch.float64)
    for i in range(full):
        for j in range(full):
            row, column = i * size // full, j * size // full
            position = torch.tensor(
                [1 / ratio, i * size / full - row, j * size / full - column], dtype=torch.float64
            )
            kernel = network.P2W.meta_block(position).view(4, 3, 3, 3)  # channel, y, x, colour
            patch = padded[:, :, row : row + 3, column : column + 3]
            expected[:, :, i, j] = torch.einsum("bcyx,cyxo->bo", patch, kernel)
    torch.testing.assert_close(network.enlarge(features, full), expected, rtol=1e-5, atol=1e-6)


def test_kept_kernels_follow_the_weights() -> None:
    network = meta_sr()
    features = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    first = network.enlarge(features, 10)
    network.train()
    network.P2W.meta_block[2].bias.data.add_(1.0)
    network.eval()
    assert not torch.allclose(network.enlarge(features, 10), first)


@pytest.mark.parametrize("scale", [3, 8])
def test_rcan_cuts_what_lies_beyond_the_face(scale: int) -> None:
    network = Rcan(SMALL_RCAN, scale).eval()
    small = torch.rand(1, 3, 13, 13) * 255
    whole, cut = network(small, scale * 13), network(small, scale * 13 - 4)
    assert torch.equal(cut, whole[..., :-4, :-4])


def test_pictures_are_clamped_and_rounded_half_up() -> None:
    values = torch.tensor([-3.0, 0.49, 0.5, 254.5, 300.0, 17.2]).view(1, 3, 1, 2)
    assert as_picture(values).permute(0, 3, 1, 2).flatten().tolist() == [0, 0, 1, 255, 255, 17]


def test_rows_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, features = meta_sr(), torch.randn(2, 4, 13, 13, dtype=torch.float64)
    whole = network.enlarge(features, 100)
    monkeypatch.setattr("fsr_fer.models.meta_sr.VALUES_AT_ONCE", 20_000)
    torch.testing.assert_close(network.enlarge(features, 100), whole)
