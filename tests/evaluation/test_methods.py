"""The networks of a method are found by its name."""

from pathlib import Path

import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.evaluation.methods import load_method, load_restorers
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import save_network
from tests import sections
from tests.models.test_super_resolution import SMALL_META_SR, SMALL_RCAN


def row(model: str, faces: str = "downsample") -> MethodSettings:
    return MethodSettings(model=model, faces=faces)


def test_a_methods_network_is_an_extractor_or_a_generator(tmp_path: Path) -> None:
    network, finetuned = (CovPoolFER(sections.extractor(), 3) for _ in range(2))
    network.class_names = finetuned.class_names = ("a", "b", "c")
    save_network(tmp_path / "pretrain.safetensors", network)
    save_network(tmp_path / "finetune/distilled.safetensors", finetuned)
    save_network(tmp_path / "fsr/plain.safetensors", Generator(sections.generator()))
    assert load_method(row("pretrain"), tmp_path).generator is None
    restored = load_method(row("fsr/plain"), tmp_path)
    assert restored.generator is not None
    assert restored.network.class_names == ("a", "b", "c")
    read = load_method(row("finetune/distilled"), tmp_path).network.state_dict()
    torch.testing.assert_close(read["classifier.hidden.weight"], finetuned.classifier.hidden.weight)
    with pytest.raises(UserError, match=r"fsr/l2\.safetensors is not a readable"):
        load_method(row("fsr/l2"), tmp_path)


def test_restorers_are_there_for_the_sizes_that_a_method_has(tmp_path: Path) -> None:
    for scale in (2, 3, 4, 8):
        save_network(tmp_path / f"sr/rcan_x{scale}.safetensors", Rcan(SMALL_RCAN, scale))
    save_network(tmp_path / "sr_faces/meta_sr_retrained.safetensors", MetaSr(SMALL_META_SR))
    scales = range(2, 9)
    assert row("pretrain").restored_by == ""
    assert row("pretrain", "restored/rcan").restored_by == "rcan"
    restorers = load_restorers("rcan", tmp_path, scales)
    assert list(restorers) == [2, 3, 4, 8]
    assert restorers[3](torch.zeros(1, 34, 34, 3, dtype=torch.uint8)).shape == (1, 100, 100, 3)
    restorers = load_restorers("meta_sr_retrained", tmp_path, scales)
    assert list(restorers) == list(scales)
    assert restorers[2] is restorers[7]
    with pytest.raises(UserError, match="has no network meta_sr in sr or sr_faces"):
        load_restorers("meta_sr", tmp_path, scales)
