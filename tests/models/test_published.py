"""Published weights: documented names and shapes load, everything else is one clear line."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.common.errors import UserError
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.published_weights import Kind, read_official
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from tests.models import published

FULL_RCAN = RcanSettings(groups=10, blocks=20, filters=64, reduction=16)
FULL_META_SR = MetaSrSettings(blocks=16, layers=8, filters=64, growth=64, hidden=256)
TINY = {"groups": 2, "blocks": 3, "f": 8, "reduction": 4}
TINY_RCAN = RcanSettings(groups=2, blocks=3, filters=8, reduction=4)
TINY_META_SR = MetaSrSettings(blocks=2, layers=3, filters=8, growth=4, hidden=6)


def load_published(path: Path, kind: Kind) -> Rcan | MetaSr:
    return read_official(kind, path)[1]


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("make", "shapes", "count"),
    [
        (partial(Rcan, FULL_RCAN, 2), published.rcan(2), 15_444_667),
        (partial(Rcan, FULL_RCAN, 3), published.rcan(3), 15_629_307),
        (partial(Rcan, FULL_RCAN, 4), published.rcan(4), 15_592_379),
        (partial(Rcan, FULL_RCAN, 8), published.rcan(8), 15_740_091),
        (partial(MetaSr, FULL_META_SR), published.meta_sr(), 22_419_096),
    ],
)
def test_networks_at_full_size_have_the_published_names_and_shapes(
    make: Callable[[], Rcan | MetaSr], shapes: published.Shapes, count: int
) -> None:
    with torch.device("meta"):
        network = make()
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == shapes
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_rcan_layer_by_layer() -> None:
    torch.manual_seed(0)
    network = Rcan(RcanSettings(groups=1, blocks=1, filters=4, reduction=2), 2)
    state = network.state_dict()
    small = torch.rand(2, 3, 6, 6) * 255

    def conv(values: Tensor, name: str, padding: int = 1) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.conv2d(values, weight, bias, padding=padding)

    mean = 255 * torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
    head = conv(small - mean, "head.0")
    block = "body.0.body.0.body"
    inner = conv(conv(head, f"{block}.0").relu(), f"{block}.2")
    squeezed = conv(inner.mean((2, 3), keepdim=True), f"{block}.3.conv_du.0", padding=0).relu()
    share = conv(squeezed, f"{block}.3.conv_du.2", padding=0).sigmoid()
    group = head + conv(head + inner * share, "body.0.body.1")
    trunk = head + conv(group, "body.1")
    enlarged = functional.pixel_shuffle(conv(trunk, "tail.0.0"), 2)
    expected = conv(enlarged, "tail.1") + mean
    torch.testing.assert_close(network(small, 12), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("key", "shapes", "settings"),
    [
        *((f"rcan_x{scale}", published.rcan(scale, **TINY), TINY_RCAN) for scale in (2, 3, 4, 8)),
        ("meta_sr", published.meta_sr(2, 3, 8, 4, 6), TINY_META_SR),
    ],
)
def test_weights_load_for_the_scale_and_sizes_their_shapes_say(
    tmp_path: Path, key: str, shapes: published.Shapes, settings: Any
) -> None:
    tensors = published.filled(shapes)
    kind: Kind = "rcan" if settings is TINY_RCAN else "meta-sr"
    found, network = read_official(kind, saved(tmp_path / "w.pt", tensors))
    assert (found, network.settings) == (key, settings)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("wrapper", ["params", "params_ema"])
def test_basicsr_names_mean_the_same_tensors(tmp_path: Path, scale: int, wrapper: str) -> None:
    theirs = published.filled(published.rcan_of_basicsr(scale, **TINY))
    shapes = published.rcan(scale, **TINY)
    bare = [name for name in shapes if not name.startswith(("sub_mean", "add_mean"))]
    expected = dict(zip(bare, theirs.values(), strict=True))  # both lists go from input to output
    network = load_published(saved(tmp_path / "b.pth", {wrapper: theirs}), "rcan")
    assert isinstance(network, Rcan)
    assert network.scale == scale
    state = network.state_dict()
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name
    mean = 255 * torch.tensor([0.4488, 0.4371, 0.4040])
    torch.testing.assert_close(state["sub_mean.bias"], -mean)
    torch.testing.assert_close(state["add_mean.bias"], mean)
    assert torch.equal(state["add_mean.weight"].squeeze(), torch.eye(3))


class Evil:
    """A pickle that makes a folder when it is read by a careless program."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    content = published.filled(published.rcan(2, **TINY)) | {"evil": Evil(target)}
    with pytest.raises(UserError, match=r"evil\.pt holds more than tensors") as caught:
        load_published(saved(tmp_path / "evil.pt", content), "rcan")
    assert "\n" not in str(caught.value)
    assert not target.exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert target.exists()  # so the file would have done it


def without(name: str) -> dict[str, Tensor]:
    tensors = published.filled(published.rcan(2, **TINY))
    del tensors[name]
    return tensors


def changed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    return published.filled(published.rcan(2, **TINY)) | {name: tensor}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("body.1.body.2.body.2.bias"), r"no tensor body\.1\.body\.2\.body\.2\.bias"),
        (published.filled(published.meta_sr(1, 1, 4, 4, 4)), r"has no tensor head\.0\.weight"),
        (without("add_mean.bias"), r"has no tensor add_mean\.bias"),
        (changed("extra.weight", torch.zeros(3)), r"a tensor extra\.weight that the network"),
        (
            changed("tail.1.weight", torch.zeros(3, 8, 1, 1)),
            r"is \[3, 8, 1, 1\], expected \[3, 8",
        ),
        (changed("tail.1.bias", torch.full((3,), torch.nan)), r"tail\.1\.bias has values.*finite"),
        (changed("head.0.bias", torch.zeros(())), r"head\.0\.bias is \[\], expected \[8\]"),
        ({"step": 3}, r"'step' is a int, not a tensor"),
        # Two names of one tensor, dtypes and layouts that are no weights.
        (changed("module.head.0.bias", torch.zeros(8)), r"has head\.0\.bias and module\.head\.0"),
        (changed("head.0.bias", torch.zeros(8, dtype=torch.int8)), r"head\.0\.bias is int8; weig"),
        (changed("head.0.bias", torch.zeros(8).to_sparse()), r"head\.0\.bias is sparse_coo; wei"),
        (changed("head.0.bias", torch.zeros(8, device="meta")), r"head\.0\.bias is without value"),
        (
            changed("body.0.body.0.body.3.conv_du.0.weight", torch.zeros(16, 8, 1, 1)),
            r"conv_du\.0\.weight is \[16, 8, 1, 1\], expected \[8, 8, 1",
        ),
        # Sizes are believed only where the tensors bear them out.
        (changed("head.0.weight", torch.zeros(())), r"head\.0\.weight is \[\], no weight of"),
        (changed("head.0.weight", torch.zeros(0, 3, 3, 3)), r"is \[0, 3, 3, 3\], no weight of"),
        (
            changed("head.0.weight", torch.zeros(1).expand(10**6, 3, 3, 3)),
            r"larger than what is",
        ),
        (
            changed("body.99.body.0.bias", torch.zeros(8)),
            r"body\.99\.body.*none of the numbers",
        ),
        (changed(f"body.{'9' * 5000}.body.0", torch.zeros(8)), r"a tensor body\.9{75}, but no"),
        ([1, 2], r"holds a list, not a state dict"),
        ({}, r"holds a dict, not a state dict"),
        (b"", r"is no file of torch's, or is damaged"),
        (b"no weights at all", r"holds more than tensors, or is damaged"),
        (b"PK\x03\x04cut off", r"is no file of torch's, or is damaged"),
        (None, r"no such file"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "rcan.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=rf"rcan\.pt.*{message}") as caught:
        read_official("rcan", path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "net.module.", "generator."])
@pytest.mark.parametrize("wrapper", [None, "model_state_dict", "net"])
def test_wrappers_and_prefixes_of_training_programs(
    tmp_path: Path, prefix: str, wrapper: str | None
) -> None:
    tensors = published.filled(published.rcan(2, **TINY))
    content: Any = {prefix + name: tensor for name, tensor in tensors.items()}
    network = load_published(
        saved(tmp_path / "r.pt", {wrapper: content} if wrapper else content), "rcan"
    )
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name
