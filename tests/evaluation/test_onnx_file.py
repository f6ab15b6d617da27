"""The ONNX file computes what the network does, and says what is in it."""

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.evaluation.onnx_file import write_onnx
from fsr_fer.evaluation.packed_file import read_packed
from fsr_fer.evaluation.packing import probabilities
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.models.weights import save_network
from tests.sections import extractor

POOLED: dict[str, Any] = {"pool_after": (1, 3), "pooling": "mean", "bimap_dim": 4}
CARD: dict[str, Any] = {
    "name": "tiny",
    "temperature": {"classes": [0.2, -0.5, 0.9], "size": [-0.3, 0.1]},
    "uncertain_below": 0.6,
    "smallest_pixels": 8,
    "expected_accuracy": {"pixels": [8.0, 60.0], "accuracy": [0.5, 0.9]},
    "inputs": {"data": "md5"},
}


def packed(path: Path, **settings: object) -> CovPoolFER:
    torch.manual_seed(3)
    network = CovPoolFER(extractor(**settings), 3)
    network.class_names = ("a", "b", "c")
    network.train()
    network(torch.randn(8, 3, 100, 100))  # statistics that are not the initial ones
    for name, parameter in network.named_parameters():
        if name.endswith("beta"):
            torch.nn.init.normal_(parameter)
    save_network(path, network.eval(), CARD)
    return network


@pytest.mark.parametrize(
    "settings",
    [
        {"input_pixels": 48, "grey": True, "residual": True, "widths": (4, 4, 8, 16)},
        {"input_pixels": 100, "grey": False, "residual": False, "widths": (4, 6, 8, 16)},
    ],
)
def test_onnxruntime_gives_what_torch_gives(settings: dict[str, object], tmp_path: Path) -> None:
    network = packed(tmp_path / "packed.safetensors", **settings, **POOLED)
    write_onnx(tmp_path / "packed.safetensors", tmp_path / "model.onnx", "research")
    write_onnx(tmp_path / "packed.safetensors", tmp_path / "again.onnx", "research")
    content = (tmp_path / "model.onnx").read_bytes()
    assert content == (tmp_path / "again.onnx").read_bytes()

    faces = torch.randint(0, 256, (5, 100, 100, 3), dtype=torch.uint8)
    faces[4] = 77  # blank: the least deviation
    sides = [100, 30, 12.7, 8, 4]  # the first as 60 and the last as 8: calibrated were 60 to 8
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    inputs = {"faces": faces.numpy(), "pixels": np.array(sides, np.float32)}
    shares, embedding = session.run(["probabilities", "embedding"], inputs)
    with torch.no_grad():
        both = standardise(faces), standardise(faces.flip(2))
        expected, logits = (sum(pair) / 2 for pair in zip(*map(network, both), strict=True))
    np.testing.assert_allclose(embedding, expected.numpy(), rtol=1e-4, atol=1e-4)
    for row, pixels in enumerate([60, 30, 13, 8, 8]):
        one = probabilities(logits[row : row + 1].double().numpy(), CARD["temperature"], pixels)
        np.testing.assert_allclose(shares[row], one[0], atol=1e-5)

    # To the bit the same alone and among 52 others, at every size.
    sizes = np.arange(8, 61, dtype=np.float32)
    many = {"faces": np.resize(faces.numpy()[:4], (53, 100, 100, 3)), "pixels": sizes}
    (together,) = session.run(["probabilities"], many)
    alone = [
        session.run(
            ["probabilities"], {name: values[row : row + 1] for name, values in many.items()}
        )
        for row in range(53)
    ]
    np.testing.assert_array_equal(together, np.concatenate([one[0] for one in alone]))

    model = onnx.load_from_string(content)
    assert {
        (node.domain, entry.version) for node in model.graph.node for entry in model.opset_import
    } == {("", 18)}
    said = json.loads(session.get_modelmeta().custom_metadata_map["fsr_fer"])
    assert said["class_names"] == ["a", "b", "c"]
    assert said["expected_accuracy"] == CARD["expected_accuracy"]
    assert said["licence"] == "research"
    assert said["temperature"] == CARD["temperature"]
    assert model.producer_version == version("fsr-fer")


def test_what_cannot_be_exported_is_one_line(tmp_path: Path) -> None:
    packed(tmp_path / "covariance.safetensors")
    with pytest.raises(UserError, match="pools by covariance, whose eigendecomposition ONNX lacks"):
        write_onnx(tmp_path / "covariance.safetensors", tmp_path / "model.onnx", "")
    network = CovPoolFER(extractor(), 2)
    network.class_names = ("a", "b")
    save_network(tmp_path / "plain.safetensors", network)
    save_network(tmp_path / "old.safetensors", network, CARD | {"temperature": [0.2, -0.3, 0.1]})
    for name, why in (("plain", "it has no calibration"), ("old", "TypeError")):
        said = rf"{name}\.safetensors is no packed model of this release: .*{why}.*"
        with pytest.raises(UserError, match=said):
            write_onnx(tmp_path / f"{name}.safetensors", tmp_path / "model.onnx", "")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": "hot"},
        {"temperature": {}},
        {"temperature": {"classes": [0.2, -0.5], "size": [-0.3, 0.1]}},
        {"temperature": {"classes": [0.2, -0.5, math.inf], "size": [-0.3, 0.1]}},
        {"uncertain_below": 5},
        {"uncertain_below": "x"},
        {"expected_accuracy": {"pixels": [8, 60], "accuracy": [50, 90]}},
        {"expected_accuracy": {"pixels": [60, 8], "accuracy": [0.5, 0.9]}},
        {"expected_accuracy": {"pixels": [], "accuracy": []}},
        {"name": None},
        {"inputs": None},
    ],
)
def test_a_header_that_pack_never_writes_is_one_line(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    network = CovPoolFER(extractor(), 3)
    network.class_names = ("a", "b", "c")
    path = tmp_path / "a.safetensors"
    card = {key: value for key, value in (CARD | changes).items() if value is not None}
    save_network(path, network, card)
    with pytest.raises(UserError, match=r"a\.safetensors is no packed model of this release: "):
        read_packed(path, "")
    network.class_names = ("a", "a", "a")
    save_network(path, network, CARD)
    with pytest.raises(UserError, match="class_names is "):
        read_packed(path, "")
