"""RCAN and Meta-SR: sizes and names of the sources, and what each pixel is made of."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fsr_fer.errors import UserError
from fsr_fer.models.meta_sr import MetaSr, pixel_positions
from fsr_fer.models.official import read_official
from fsr_fer.models.pictures import as_picture
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.settings import MetaSrSettings, RcanSettings

FULL_RCAN = RcanSettings(groups=10, blocks=20, filters=64, reduction=16)
FULL_META_SR = MetaSrSettings(filters=64, growth=64, blocks=16, layers=8, hidden=256)
SMALL_RCAN = RcanSettings(groups=2, blocks=3, filters=8, reduction=4)
SMALL_META_SR = MetaSrSettings(filters=4, growth=3, blocks=2, layers=2, hidden=5)


@pytest.mark.parametrize(
    ("scale", "parameters", "tensors"),
    [
        (2, 15_444_667, 1632),
        (3, 15_629_307, 1632),
        (4, 15_592_379, 1634),
        (8, 15_740_091, 1636),
    ],
)
def test_rcan_has_the_published_size(scale: int, parameters: int, tensors: int) -> None:
    with torch.device("meta"):
        state = Rcan(FULL_RCAN, scale).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == parameters
    assert len(state) == tensors
    for name in ("body.9.body.19.body.3.conv_du.2.bias", "body.9.body.20.weight", "body.10.bias"):
        assert name in state
    last = {2: "tail.0.0", 3: "tail.0.0", 4: "tail.0.2", 8: "tail.0.4"}[scale]
    assert f"{last}.weight" in state


def test_meta_sr_has_the_published_size() -> None:
    with torch.device("meta"):
        state = MetaSr(FULL_META_SR).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 22_419_096
    assert len(state) == 304
    assert state["RDBs.15.convs.7.conv.0.weight"].shape == (64, 512, 3, 3)
    assert state["P2W.meta_block.2.weight"].shape == (1728, 256)


def meta_sr(seed: int = 3) -> MetaSr:
    torch.manual_seed(seed)
    return MetaSr(SMALL_META_SR).double().eval()


@pytest.mark.parametrize(("size", "full"), [(5, 10), (4, 16), (34, 100), (7, 10), (13, 20)])
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


def test_positions_are_whole_number_arithmetic_at_all_our_sizes() -> None:
    for size in (50, 34, 25, 20, 17, 15, 13):
        positions = pixel_positions(size, 100).view(100, 100, 3).double()
        for i in (0, 1, 7, 50, 99):
            exact = (i * size) % 100 / 100
            assert positions[i, 3, 1] == pytest.approx(exact, abs=1e-7)
            assert positions[3, i, 2] == pytest.approx(exact, abs=1e-7)
        assert positions[..., 0].unique().item() == pytest.approx(size / 100)


def test_kept_kernels_follow_the_weights() -> None:
    network = meta_sr()
    features = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    first = network.enlarge(features, 10)
    assert torch.equal(network.enlarge(features, 10), first)
    network.train()
    with torch.no_grad():
        network.P2W.meta_block[2].bias.add_(1.0)
    network.eval()
    assert not torch.allclose(network.enlarge(features, 10), first)


def test_mean_shifts_cancel_and_do_not_learn() -> None:
    network = Rcan(SMALL_RCAN, 2)
    colours = torch.rand(1, 3, 4, 4) * 255
    torch.testing.assert_close(network.add_mean(network.sub_mean(colours)), colours)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]) * 255
    shifted = network.sub_mean(mean.view(1, 3, 1, 1))
    torch.testing.assert_close(shifted, torch.zeros(1, 3, 1, 1), rtol=0, atol=1e-4)
    assert not [p for p in network.sub_mean.parameters() if p.requires_grad]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_rcan_cuts_what_lies_beyond_the_face(scale: int) -> None:
    network = Rcan(SMALL_RCAN, scale).eval()
    small = torch.rand(1, 3, 13, 13) * 255
    whole, cut = network(small, scale * 13), network(small, scale * 13 - 4)
    assert torch.equal(cut, whole[..., :-4, :-4])
    with pytest.raises(ValueError, match="below"):
        network(small, scale * 13 + 1)


def test_pictures_are_clamped_and_rounded_half_up() -> None:
    values = torch.tensor([-3.0, 0.49, 0.5, 254.5, 300.0, 17.2]).view(1, 3, 1, 2)
    assert as_picture(values).permute(0, 3, 1, 2).flatten().tolist() == [0, 0, 1, 255, 255, 17]


def basicsr_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """RCAN's state as BasicSR names it, written down from its documented list (small network)."""
    names = {
        "conv_first": "head.0",
        "conv_after_body": "body.2",
        "upsample.0": "tail.0.0",
        "upsample.2": "tail.0.2",
        "conv_last": "tail.1",
    }
    for i in range(2):
        names[f"body.{i}.conv"] = f"body.{i}.body.3"
        for j in range(3):
            ours, theirs = f"body.{i}.body.{j}.body", f"body.{i}.residual_group.{j}.rcab"
            names[f"{theirs}.0"], names[f"{theirs}.2"] = f"{ours}.0", f"{ours}.2"
            names[f"{theirs}.3.attention.1"] = f"{ours}.3.conv_du.0"
            names[f"{theirs}.3.attention.3"] = f"{ours}.3.conv_du.2"
    return {
        f"{theirs}.{kind}": state[f"{ours}.{kind}"]
        for theirs, ours in names.items()
        for kind in ("weight", "bias")
        if f"{ours}.{kind}" in state
    }


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_official_rcan_is_read_and_its_scale_known(scale: int, tmp_path: Path) -> None:
    network = Rcan(SMALL_RCAN, scale)
    torch.save(network.state_dict(), tmp_path / "RCAN.pt")
    key, read = read_official("rcan", tmp_path / "RCAN.pt")
    assert key == f"rcan_x{scale}"
    save_network(tmp_path / "ours.safetensors", read)
    small = torch.rand(1, 3, 6, 6) * 255
    again = load_network(tmp_path / "ours.safetensors", Rcan, MetaSr)
    assert torch.equal(again(small, 6 * scale), network.eval()(small, 6 * scale))


def test_basicsrs_names_of_rcan_are_read(tmp_path: Path) -> None:
    network = Rcan(SMALL_RCAN, 4)
    renamed = basicsr_names(network.state_dict())
    assert len(renamed) == len(network.state_dict()) - 4  # no mean shifts
    torch.save({"params": renamed}, tmp_path / "RCAN.pth")
    key, read = read_official("rcan", tmp_path / "RCAN.pth")
    assert key == "rcan_x4"
    for name, tensor in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name


def test_official_meta_sr_is_read(tmp_path: Path) -> None:
    network = MetaSr(SMALL_META_SR)
    torch.save(network.state_dict(), tmp_path / "model_1000.pt")
    key, read = read_official("meta-sr", tmp_path / "model_1000.pt")
    assert key == "meta_sr"
    assert isinstance(read, MetaSr)
    assert read.settings == SMALL_META_SR


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('opened', 'w')",)


def test_a_file_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"head.0.weight": Harmful()}, "bad.pt")
    with pytest.raises(UserError, match=r"bad\.pt holds more than tensors"):
        read_official("rcan", Path("bad.pt"))
    assert not Path("opened").exists()


def test_what_is_wrong_with_a_state_dict_is_said(tmp_path: Path) -> None:
    path = tmp_path / "RCAN.pt"
    state = Rcan(SMALL_RCAN, 2).state_dict()

    def message(changed: dict[str, Tensor]) -> str:
        torch.save(changed, path)
        with pytest.raises(UserError) as error:
            read_official("rcan", path)
        return str(error.value)

    lacking = {name: t for name, t in state.items() if name != "body.1.body.2.body.0.bias"}
    assert message(lacking).endswith("has no tensor body.1.body.2.body.0.bias")
    assert "body.2.scale that the network" in message({**state, "body.2.scale": torch.ones(1)})
    misshapen = {**state, "tail.1.bias": torch.zeros(4)}
    assert "tail.1.bias is [4], expected [3]" in message(misshapen)
    with pytest.raises(UserError, match="no such file"):
        read_official("rcan", tmp_path / "nothing.pt")
    (tmp_path / "text.pt").write_text("RCAN")
    with pytest.raises(UserError, match=r"text\.pt"):
        read_official("rcan", tmp_path / "text.pt")


def test_rows_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, features = meta_sr(), torch.randn(2, 4, 13, 13, dtype=torch.float64)
    whole = network.enlarge(features, 100)
    monkeypatch.setattr("fsr_fer.models.meta_sr.VALUES_AT_ONCE", 20_000)
    torch.testing.assert_close(network.enlarge(features, 100), whole)


def test_the_meta_network_sees_only_sizes_and_offsets() -> None:
    # Equal offsets at another ratio give other kernels: 1/r comes first.
    network = meta_sr()
    assert not torch.allclose(network.kernels(5, 10)[0, 0], network.kernels(4, 16)[0, 0])
    assert network.kernels(34, 100).shape[:2] == (100 // math.gcd(34, 100),) * 2
