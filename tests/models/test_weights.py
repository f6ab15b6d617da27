"""Networks written to safetensors and read back."""

import errno
from pathlib import Path

import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network, save_network, write_tensors
from tests.models.test_super_resolution import SMALL_META_SR, SMALL_RCAN
from tests.sections import extractor, generator

CLASSES = ("happiness", "neutral", "sadness")


def extractor_with_classes() -> CovPoolFER:
    network = CovPoolFER(extractor(), len(CLASSES))
    network.class_names = CLASSES
    return network


NETWORKS = {
    "extractor": extractor_with_classes,
    "generator": lambda: Generator(generator()),
    "rcan_x2": lambda: Rcan(SMALL_RCAN, 2),
    "rcan_x3": lambda: Rcan(SMALL_RCAN, 3),
    "meta_sr": lambda: MetaSr(SMALL_META_SR),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_come_back_the_same_and_frozen(tmp_path: Path, name: str) -> None:
    network = NETWORKS[name]()
    save_network(tmp_path / "n.safetensors", network)
    again = load_network(tmp_path / "n.safetensors", CovPoolFER, Generator, Rcan, MetaSr)
    assert type(again) is type(network)
    for kept in ("settings", "scale", "class_names"):
        assert getattr(again, kept, None) == getattr(network, kept, None)
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key


def test_equal_networks_are_equal_bytes(tmp_path: Path) -> None:
    network = extractor_with_classes()
    written = set()
    for trial in range(6):  # an order left to chance would show in one trial out of two
        save_network(tmp_path / f"{trial}.safetensors", network)
        written.add((tmp_path / f"{trial}.safetensors").read_bytes())
    assert len(written) == 1


def test_a_full_disk_is_an_error_of_the_disk() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write_tensors({"a": torch.zeros(3)}, Path("/dev/full"), {})
    assert caught.value.errno == errno.ENOSPC  # which `replacing` tells in one line


def test_a_file_of_another_kind_or_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    save_network(path, Generator(generator()))
    with pytest.raises(UserError, match=r"g\.safetensors holds no extractor or rcan$"):
        load_network(path, CovPoolFER, Rcan)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_network(path, Generator)
