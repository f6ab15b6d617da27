"""Networks written to safetensors and read back."""

from pathlib import Path

import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from fsr_fer.models.weights import load_network, save_network
from tests.sections import extractor, generator

CLASSES = ("happiness", "neutral", "sadness")
SMALL_RCAN = RcanSettings(groups=2, blocks=3, filters=8, reduction=4)
SMALL_META_SR = MetaSrSettings(filters=4, growth=3, blocks=2, layers=2, hidden=5)


def test_extractor_comes_back_frozen_with_its_classes(tmp_path: Path) -> None:
    network = CovPoolFER(extractor(), len(CLASSES)).eval()
    network.class_names = CLASSES
    save_network(tmp_path / "e.safetensors", network)
    again = load_network(tmp_path / "e.safetensors", CovPoolFER)
    assert again.class_names == CLASSES
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


NETWORKS = {
    "generator": lambda: Generator(generator()),
    "rcan_x2": lambda: Rcan(SMALL_RCAN, 2),
    "rcan_x3": lambda: Rcan(SMALL_RCAN, 3),
    "rcan_x4": lambda: Rcan(SMALL_RCAN, 4),
    "rcan_x8": lambda: Rcan(SMALL_RCAN, 8),
    "meta_sr": lambda: MetaSr(SMALL_META_SR),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_come_back_the_same(tmp_path: Path, name: str) -> None:
    network = NETWORKS[name]()
    save_network(tmp_path / "n.safetensors", network)
    again = load_network(tmp_path / "n.safetensors", Generator, Rcan, MetaSr)
    assert type(again) is type(network)
    assert again.settings == network.settings
    assert getattr(again, "scale", None) == getattr(network, "scale", None)
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key


def test_equal_networks_are_equal_bytes(tmp_path: Path) -> None:
    network = CovPoolFER(extractor(), len(CLASSES))
    written = set()
    for trial in range(12):  # an order left to chance would show in one trial out of two
        save_network(tmp_path / f"{trial}.safetensors", network)
        written.add((tmp_path / f"{trial}.safetensors").read_bytes())
    assert len(written) == 1


def test_a_file_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    save_network(tmp_path / "g.safetensors", Generator(generator()))
    with pytest.raises(UserError, match=r"g\.safetensors holds no extractor or rcan$"):
        load_network(tmp_path / "g.safetensors", CovPoolFER, Rcan)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    save_network(path, Generator(generator()))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_network(path, Generator)
