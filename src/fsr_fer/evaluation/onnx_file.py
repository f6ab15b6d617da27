"""Export of a packed network as an ONNX file for ``fsr-fer predict`` and other programs.

Standard operators of opset 18 alone; normalisations are folded into the convolutions.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.evaluation.packed_file import read_packed
from fsr_fer.evaluation.packing import temperature
from fsr_fer.models.covpool import CovPoolFER, folded

OPSET, IR_VERSION = 18, 10


def write_onnx(packed: Path, target: Path, licence: str) -> None:
    """Write the model that the stage ``pack`` left in ``packed``; equal models, equal bytes.

    Inputs are ``faces``, uint8 RGB [N, 100, 100, 3], and ``pixels``, float32 [N], each face's side
    in its original picture, a whole number; outputs ``probabilities`` [N, K] and ``embedding`` [N,
    E], float32. UserError if ``packed`` is missing or no packed model, or the network has a layer
    that ONNX does not have.
    """
    network, metadata = read_packed(packed, licence)
    if network.settings.pooling != "mean":
        raise UserError(
            f"{packed} pools by covariance, whose eigendecomposition ONNX lacks; expected "
            "pretrain.extractor.pooling: mean. `fsr-fer predict --model` reads it as it is"
        )
    model = _model(network, metadata)
    onnx.checker.check_model(model, full_check=True)
    with replacing(target) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


def _model(network: CovPoolFER, metadata: Mapping[str, Any]) -> onnx.ModelProto:
    graph = _Graph()
    # models/covpool.py: standardise
    values = graph.add("Cast", "faces", to=TensorProto.FLOAT)
    values = graph.add("Sub", values, graph.add("ReduceMean", values, [1, 2, 3]))
    square = graph.add("ReduceMean", graph.add("Mul", values, values), [1, 2, 3])
    least = 1 / (3 * FULL_SIZE**2) ** 0.5
    deviation = graph.add("Max", graph.add("Sqrt", square), np.float32(least))
    values = graph.add("Div", values, deviation)
    values = graph.add("Transpose", values, perm=[0, 3, 1, 2])

    # The mirrored faces behind the others, as one batch; evaluation/packing.py: logits_of
    mirrored = graph.add("Slice", values, [-1], [-(FULL_SIZE + 1)], [3], [-1])
    values = graph.add("Concat", values, mirrored, axis=0)

    extractor, settings = network.extractor, network.settings
    if settings.grey:
        values = graph.add("Conv", values, extractor.grey[None])
    if settings.input_pixels != FULL_SIZE:
        values = graph.add("MatMul", extractor.shrink, values)
        values = graph.add("MatMul", values, extractor.shrink.mT)
    for number, (conv, norm) in enumerate(zip(extractor.convs, extractor.norms, strict=True), 1):
        weight, shift = folded(conv, norm)
        made = graph.add("Conv", values, weight, shift, pads=[1, 1, 1, 1])
        if settings.residual and weight.shape[0] == weight.shape[1]:
            made = graph.add("Add", made, values)
        if number in settings.pool_after:
            made = graph.add("MaxPool", made, kernel_shape=[2, 2], strides=[2, 2])
        values = graph.add("Relu", made)
    values = graph.add("ReduceMean", values, [2, 3], keepdims=0)

    classifier = network.classifier
    values = graph.linear(values, *folded(classifier.hidden, classifier.hidden_norm))
    values = graph.add("Relu", values)
    values = graph.linear(values, *folded(classifier.bottleneck, classifier.bottleneck_norm))
    pairs = graph.add("Reshape", values, [2, -1, settings.embedding_dim])
    embedding = graph.add("ReduceMean", pairs, [0], keepdims=0, name="embedding")
    logits = graph.linear(embedding, classifier.logits.weight, classifier.logits.bias)

    # evaluation/packing.py: temperature, of each whole size that it was fitted for. A table, since
    # onnxruntime's Log depends on a face's place in its batch, in the last bit.
    sizes = [int(size) for size in metadata["expected_accuracy"]["pixels"]]
    smallest, largest = min(sizes), max(sizes)
    table = [temperature(metadata["temperature"], size) for size in range(smallest, largest + 1)]
    divisors = np.array(table, np.float32).ravel()
    pixels = graph.add("Clip", "pixels", np.float32(smallest), np.float32(largest))
    pixels = graph.add("Round", pixels)
    row = graph.add("Sub", graph.add("Cast", pixels, to=TensorProto.INT64), np.int64(smallest))
    label = graph.add("ArgMax", logits, axis=1, keepdims=0)
    place = graph.add("Add", graph.add("Mul", row, np.int64(len(network.class_names))), label)
    divisor = graph.add("Gather", divisors, place)
    divisor = graph.add("Unsqueeze", divisor, [1])
    graph.add("Softmax", graph.add("Div", logits, divisor), axis=1, name="probabilities")

    def tensor(name: str, *shape: int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, ["faces", *shape])

    faces = tensor("faces", FULL_SIZE, FULL_SIZE, 3, kind=TensorProto.UINT8)
    outputs = [
        tensor("probabilities", len(network.class_names)),
        tensor("embedding", settings.embedding_dim),
    ]
    made_of = helper.make_graph(
        graph.nodes, "fsr_fer", [faces, tensor("pixels")], outputs, graph.constants
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made_of, opset_imports=[opset], producer_name="fsr-fer")
    model.producer_version = version("fsr-fer")
    model.ir_version = IR_VERSION
    helper.set_model_props(model, {"fsr_fer": json.dumps(metadata, sort_keys=True)})
    return model


class _Graph:
    """Nodes and constants as they are added; values are named by their numbers."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: Any, name: str | None = None, **attributes: Any) -> str:
        """Add a node; inputs are names of values, or what becomes a constant. Its output's name."""
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def linear(self, values: str, weight: Tensor, bias: Tensor) -> str:
        return self.add("Gemm", values, weight, bias, transB=1)

    def _constant(self, values: Any) -> str:
        if isinstance(values, list):
            array = np.array(values, np.int64)
        elif isinstance(values, Tensor):
            array = values.detach().float().contiguous().numpy()
        else:
            array = np.asarray(values)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name
