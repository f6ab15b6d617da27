"""Makes the three files of the face detector from the weights in facenet-pytorch's package.

    pip download --no-deps facenet-pytorch==2.6.0 && unzip facenet_pytorch-2.6.0-*.whl
    python benchmarks/build_detector.py facenet_pytorch/data

Run once; the files are in Git (src/fsr_fer/predict/mtcnn_*.onnx), NOTICE says whose they are. The
functions stay those of MTCNN; three things are written otherwise, for speed or simplicity:

* An input is uint8 RGB [N, H, W, 3]; (value - 127.5) / 128 is part of the first convolution.
* The two outputs "no face" and "face" of a softmax are one, the difference of their logits, of
  which the sigmoid is the probability; the landmarks are left out.
* ReLU and convolutions of one pixel stand where the original has PReLU, and maps have channels of
  zeros: onnxruntime keeps its fast layout through a whole net then, which takes less than half the
  time. See `rectified_maximum`.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

FOLDER = Path(__file__).parent.parent / "src/fsr_fer/predict"
BLOCK = 16
"""onnxruntime's fast layout is for maps with so many channels, or twice as many, and so on."""
Weights = dict[str, np.ndarray]


class Net:
    """Nodes one after the other, each fed with what the one before gave unless said otherwise."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: Weights = {}
        self.last = "pixels"
        self.add("Cast", to=TensorProto.FLOAT)
        self.add("Transpose", perm=[0, 3, 1, 2])

    def add(self, kind: str, *values: np.ndarray, source: str = "", **attributes: Any) -> str:
        """A node with constants as further inputs; returns its output's name."""
        output = f"{kind}_{len(self.nodes)}"
        names = [f"{output}_{number}" for number in range(len(values))]
        self.constants |= dict(zip(names, values, strict=True))
        inputs = [source or self.last, *names]
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        self.last = output
        return output

    def model(self, sides: list[int | str], shape: list[int | str]) -> onnx.ModelProto:
        """The whole: uint8 ``pixels`` [N, *sides, 3] to float32 ``answers`` of ``shape``."""
        self.nodes[-1].output[0] = "answers"
        inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", *sides, 3])]
        outputs = [helper.make_tensor_value_info("answers", TensorProto.FLOAT, shape)]
        constants = [
            numpy_helper.from_array(value.astype(np.float32) if value.dtype.kind == "f" else value,
                                    name)
            for name, value in self.constants.items()
        ]  # fmt: skip
        graph = helper.make_graph(self.nodes, "mtcnn", inputs, outputs, constants)
        opset = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=10)
        onnx.checker.check_model(model)
        return model


def scaled_input(weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """The first convolution, for pixels of 0 to 255 instead of about -1 to 1."""
    kernel = weights["conv1.weight"] / 128
    return kernel, weights["conv1.bias"] - 127.5 * kernel.sum((1, 2, 3))


def heads(weights: Weights, score: str, offsets: str) -> tuple[np.ndarray, np.ndarray]:
    """One layer of five outputs: the logit of a face, and four offsets of its box."""
    kernel, bias = weights[f"{score}.weight"], weights[f"{score}.bias"]
    kernel = np.concatenate([kernel[1:] - kernel[:1], weights[f"{offsets}.weight"]])
    return kernel, np.concatenate([bias[1:] - bias[:1], weights[f"{offsets}.bias"]])


def blocks(channels: int) -> int:
    """The channels of the smallest map of whole blocks that has these."""
    return -(-channels // BLOCK) * BLOCK


def filled(values: np.ndarray, *shape: int) -> np.ndarray:
    """The values, and zeros behind them up to a shape; dimensions it leaves out stay."""
    pairs = zip(values.shape, (*shape, *values.shape[len(shape) :]), strict=True)
    return np.pad(values, [(0, wanted - there) for there, wanted in pairs])


def point(matrix: np.ndarray) -> np.ndarray:
    """A matrix [outputs, inputs] as a convolution of one pixel."""
    return matrix[:, :, None, None]


def convolved(net: Net, kernel: np.ndarray, bias: np.ndarray) -> str:
    """A convolution to whole blocks."""
    width = blocks(len(bias))
    return net.add("Conv", filled(kernel, width), filled(bias, width))


def bent(net: Net, source: str, straight: np.ndarray, bend: np.ndarray, *bias: np.ndarray) -> None:
    """``straight`` times ``source`` plus ``bend`` times max(the last map, 0), both matrices."""
    net.add("Relu")
    curved = net.add("Conv", point(bend))
    net.add("Conv", point(straight), *bias, source=source)
    net.nodes.append(helper.make_node("Add", [curved, net.last], [f"sum_{len(net.nodes)}"]))
    net.last = f"sum_{len(net.nodes) - 1}"


def rectified(net: Net, kernel: np.ndarray, bias: np.ndarray, slope: np.ndarray) -> None:
    """A convolution and PReLU with slope a, which is a x + (1 - a) max(x, 0)."""
    slope = filled(slope, blocks(len(slope)))
    bent(net, convolved(net, kernel, bias), np.diag(slope), np.diag(1 - slope))


def rectified_maximum(
    net: Net, kernel: np.ndarray, bias: np.ndarray, slope: np.ndarray, outputs: int, **pool: Any
) -> None:
    """A convolution, PReLU with slope a, and a maximum over neighbours, which is taken first here.

    With M and M', the maxima of x and of -x, it is a M + (1 - a) max(M, 0) where a >= 0. Where
    a < 0 it is max(M, -a M'), which is M + max(-a M' - M, 0). The last map has ``outputs``.
    """
    count, falling = len(slope), np.flatnonzero(slope < 0)
    opposite = count + np.arange(len(falling))  # where M' stands
    convolved(
        net,
        np.concatenate([kernel, -kernel[falling]]),
        np.concatenate([bias, -bias[falling]]),
    )
    maxima = net.add("MaxPool", strides=[2, 2], **pool)
    width, inputs = blocks(count), blocks(count + len(falling))
    bending = np.eye(count)
    bending[falling] *= -1
    bending = filled(bending, width, inputs)
    bending[falling, opposite] = -slope[falling]
    net.add("Conv", point(bending))
    straight = np.diag(np.where(slope < 0, 1, slope))
    bend = np.diag(np.where(slope < 0, 1, 1 - slope))
    bent(net, maxima, filled(straight, outputs, inputs), filled(bend, outputs, width))


def first_net(weights: Weights) -> onnx.ModelProto:
    """P-net: any height and width to a map of answers, [N, 5, H / 2 - 5, W / 2 - 5] if even."""
    net = Net()
    slope = weights["prelu1.weight"]
    # No more than it has: what the next convolution costs grows with them.
    rectified_maximum(net, *scaled_input(weights), slope, len(slope), kernel_shape=[2, 2])
    rectified(net, weights["conv2.weight"], weights["conv2.bias"], weights["prelu2.weight"])
    last = convolved(net, weights["conv3.weight"], weights["conv3.bias"])
    slope = weights["prelu3.weight"]
    head, bias = heads(weights, "conv4_1", "conv4_2")
    matrix = head[:, :, 0, 0]
    bent(net, last, matrix * slope, matrix * (1 - slope), bias)
    return net.model(["H", "W"], ["N", 5, "h", "w"])


def later_net(
    weights: Weights, side: int, pools: list[int], dense: str, score: str, offsets: str
) -> onnx.ModelProto:
    """R-net or O-net: squares of one size to [N, 5]. ``pools`` follow the first convolutions."""
    net = Net()
    now = side
    convolutions = sum(name.startswith("conv") for name in weights) // 2
    for number in range(1, convolutions + 1):
        kernel, bias = weights[f"conv{number}.weight"], weights[f"conv{number}.bias"]
        if number == 1:
            kernel, bias = scaled_input(weights)
        else:
            kernel = filled(kernel, len(kernel), blocks(kernel.shape[1]))
        slope = weights[f"prelu{number}.weight"]
        now -= kernel.shape[2] - 1
        if number <= len(pools):
            size = pools[number - 1]
            over = (size - now) % 2  # the last row and column count too
            pool = {"kernel_shape": [size, size], "pads": [0, 0, over, over]}
            rectified_maximum(net, kernel, bias, slope, blocks(len(slope)), **pool)
            now = (now + over - size) // 2 + 1
        else:
            rectified(net, kernel, bias, slope)
    net.add("Transpose", perm=[0, 3, 2, 1])  # the order in which the weights were stored
    net.add("Flatten")
    net.add("Gemm", weights[f"{dense}.weight"], weights[f"{dense}.bias"], transB=1)
    net.add("PRelu", weights[f"prelu{dense[-1]}.weight"])
    net.add("Gemm", *heads(weights, score, offsets), transB=1)
    return net.model([side, side], ["N", 5])


def original(weights: Weights, pixels: np.ndarray, pools: list[int]) -> np.ndarray:
    """The same by torch, as the authors' net is written; for comparison."""
    values = {name: torch.from_numpy(value) for name, value in weights.items()}
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).double() - 127.5) / 128
    number = 1
    while f"prelu{number}.weight" in values:
        name = f"conv{number}" if f"conv{number}.weight" in values else f"dense{number}"
        if name.startswith("dense"):
            x = x.permute(0, 3, 2, 1).flatten(1)
            x = functional.linear(x, values[f"{name}.weight"], values[f"{name}.bias"])
        else:
            x = functional.conv2d(x, values[f"{name}.weight"], values[f"{name}.bias"])
        x = functional.prelu(x, values[f"prelu{number}.weight"])
        if number <= len(pools):
            x = functional.max_pool2d(x, pools[number - 1], 2, ceil_mode=True)
        number += 1
    kind = "conv" if x.ndim == 4 else "dense"
    layer = functional.conv2d if x.ndim == 4 else functional.linear
    score, offsets = (
        layer(x, values[f"{kind}{number}_{part}.weight"], values[f"{kind}{number}_{part}.bias"])
        for part in (1, 2)
    )
    return torch.cat([score[:, 1:] - score[:, :1], offsets], 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with pnet.pt, rnet.pt and onet.pt")
    folder = parser.parse_args().folder
    for letter, side, pools in (("p", 60, [2]), ("r", 24, [3, 3]), ("o", 48, [3, 3, 2])):
        loaded = torch.load(folder / f"{letter}net.pt", weights_only=True)
        weights = {name: value.double().numpy() for name, value in loaded.items()}
        if letter == "p":
            model = first_net(weights)
        elif letter == "r":
            model = later_net(weights, side, pools, "dense4", "dense5_1", "dense5_2")
        else:
            model = later_net(weights, side, pools, "dense5", "dense6_1", "dense6_2")
        path = FOLDER / f"mtcnn_{letter}.onnx"
        path.write_bytes(model.SerializeToString())
        pixels = np.random.default_rng(0).integers(0, 256, (8, side, side, 3), dtype=np.uint8)
        (answers,) = onnxruntime.InferenceSession(path).run(None, {"pixels": pixels})
        expected = original(weights, pixels, pools)
        print(f"{path.name}: {path.stat().st_size:,} bytes, differs from the original by "
              f"{np.abs(answers - expected).max():.1e}, answers up to "
              f"{np.abs(expected).max():.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
