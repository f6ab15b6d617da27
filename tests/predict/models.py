"""Model files as `fsr-fer export` writes them, with networks whose answers are known by heart.

The mean of a face's channels c, 0 to 255, gives the probabilities softmax((c - 127.5) / 25.5): a
face of one colour is red, green or blue, and how surely can be worked out by hand.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = ("red", "green", "blue")
METADATA: dict[str, Any] = {
    "format": 1,
    "name": "colours",
    "class_names": list(CLASSES),
    "smallest_pixels": 8,
    "uncertain_below": 0.55,
    "expected_accuracy": {"pixels": [10, 20], "accuracy": [0.5, 0.9]},
    "margin": 0.0,
    "licence": "MIT",
    "provenance": {},
}


def probabilities(*means: float) -> list[float]:
    """What the network says of a face with these mean values of red, green and blue."""
    powers = [math.exp((mean - 127.5) / 25.5) for mean in means]
    return [power / sum(powers) for power in powers]


def colour_model(**changes: Any) -> onnx.ModelProto:
    """The network of colours, with metadata in which ``changes`` are made; None takes one away."""
    nodes = [
        helper.make_node("Cast", ["faces"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "axes"], ["embedding"], keepdims=0),
        helper.make_node("Sub", ["embedding", "middle"], ["centred"]),
        helper.make_node("Div", ["centred", "step"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {
        "axes": np.array([1, 2], np.int64),
        "middle": np.array(127.5, np.float32),
        "step": np.array(25.5, np.float32),
    }
    inputs = [
        helper.make_tensor_value_info("faces", TensorProto.UINT8, ["N", 100, 100, 3]),
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N"]),
    ]
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, initializers)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    metadata = {key: value for key, value in (METADATA | changes).items() if value is not None}
    helper.set_model_props(model, {"fsr_fer": json.dumps(metadata)})
    onnx.checker.check_model(model)
    return model


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
