"""Model files as `fsr-fer export` writes them, with networks whose answers are known by heart.

The mean of a face's channels c, 0 to 255, gives the probabilities softmax((c - 127.5) / 25.5): a
face of one colour is red, green or blue, and how surely can be worked out by hand.
"""

import json
import math
from pathlib import Path
from typing import Any

import onnx

CLASSES = ("red", "green", "blue")
METADATA: dict[str, Any] = {
    "format": 1,
    "name": "colours",
    "class_names": list(CLASSES),
    "smallest_pixels": 8,
    "uncertain_below": 0.55,
    "expected_accuracy": {"pixels": [10, 20], "accuracy": [0.5, 0.9]},
    "licence": "MIT",
    "provenance": {},
}
NETWORK = """
<ir_version: 10, opset_import: ["": 18]>
network (uint8[N, 100, 100, 3] faces, float[N] pixels)
    => (float[N, 3] probabilities, float[N, 3] embedding)
    <int64[2] axes = {1, 2}, float middle = {127.5}, float step = {25.5}>
{
    values = Cast <to = 1> (faces)
    embedding = ReduceMean <keepdims = 0> (values, axes)
    centred = Sub (embedding, middle)
    logits = Div (centred, step)
    probabilities = Softmax <axis = 1> (logits)
}
"""


def probabilities(*means: float) -> list[float]:
    """What the network says of a face with these mean values of red, green and blue."""
    powers = [math.exp((mean - 127.5) / 25.5) for mean in means]
    return [power / sum(powers) for power in powers]


def colour_model(**changes: Any) -> onnx.ModelProto:
    """The network of colours, with metadata in which ``changes`` are made; None takes one away."""
    model = onnx.parser.parse_model(NETWORK)
    metadata = {key: value for key, value in (METADATA | changes).items() if value is not None}
    onnx.helper.set_model_props(model, {"fsr_fer": json.dumps(metadata)})
    onnx.checker.check_model(model)
    return model


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
