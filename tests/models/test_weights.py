"""Networks written to safetensors and read back."""

from pathlib import Path

import pytest
import torch

from fsr_fer.errors import UserError
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network, save_network
from tests.sections import extractor, generator

CLASSES = ("happiness", "neutral", "sadness")


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


def test_generator_comes_back_the_same(tmp_path: Path) -> None:
    network = Generator(generator())
    save_network(tmp_path / "g.safetensors", network)
    again = load_network(tmp_path / "g.safetensors", Generator)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


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
