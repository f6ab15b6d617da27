"""The face detector that is shipped: MTCNN (arXiv 1604.02878), a cascade of three small networks.

P-net takes squares of 12 pixels everywhere in the picture at many sizes and proposes boxes; R-net
(24 pixels) and O-net (48 pixels) discard boxes and refine the rest. For a square each network gives
the logit of a face, and the offsets of the face's left, top, right and bottom, in sides of the
square. Weights: NOTICE; files: ``benchmarks/build_detector.py``.

Boxes here are float64 [N, 4]: left, top, right, bottom in pixels; scores are logits [N].
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from fsr_fer.predict.detector import Detection
from fsr_fer.predict.model_file import session_of
from fsr_fer.predict.results import Box

CELL, STRIDE = 12, 2
"""Pixels: the square that P-net reads, and the step from one to the next."""
SHRINK = 0.709
"""From one size of the picture to the next: the area is halved."""
TILE = 256
"""Pixels of a picture that P-net gets at a time: what it computes then stays in the cache."""
BATCH = 8
"""Squares that R-net and O-net get at a time; what they compute of more does not fit the cache."""
SCORE = 0.7
"""The probability from which a box goes on to the next network, and of a face in the end."""

FACE_SCALE = 1.1
"""How much larger a crop is than O-net's box of the face in it; expressions are read in crops."""


class Mtcnn:
    """A ``Detector``. It computes on one thread."""

    def __init__(self) -> None:
        files = (Path(__file__).with_name(f"mtcnn_{letter}.onnx") for letter in "pro")
        self._p_net, self._r_net, self._o_net = (session_of(file.read_bytes()) for file in files)

    def detect(
        self, rgb: np.ndarray, min_face: int, check: Callable[[], None] = lambda: None
    ) -> list[Detection]:
        """The faces; ``check`` is called many times a second, and what it raises ends it."""
        picture = Image.fromarray(rgb)
        found = [self._at_size(picture, *size, check) for size in sizes(picture.size, min_face)]
        boxes = square(np.concatenate([np.empty((0, 4)), *found]))
        boxes, scores, offsets = self._judge(self._r_net, 24, picture, boxes, check)
        kept = suppress(boxes, scores, 0.7)
        boxes = square(moved(boxes[kept], offsets[kept]))
        boxes, scores, offsets = self._judge(self._o_net, 48, picture, boxes, check)
        boxes = moved(boxes, offsets)
        real = usable(boxes, picture.size)
        boxes, scores = boxes[real], scores[real]
        kept = suppress(boxes, scores, 0.7, of_smaller=True)
        return [_detection(boxes[at], scores[at]) for at in kept]

    def _at_size(
        self, picture: Image.Image, width: int, height: int, check: Callable[[], None]
    ) -> np.ndarray:
        """P-net's boxes in the picture at a size."""
        found = [np.empty((0, 4))]
        overlap = CELL - STRIDE
        rows = picture.height / height
        for top in range(0, height - overlap, TILE):
            # A band of the picture at a time: the whole may be large, and here even larger.
            bottom = min(top + TILE + overlap, height)
            band = (0, top * rows, picture.width, min(bottom * rows, picture.height))
            size = (width, bottom - top)
            # With the gap Pillow does not read all of a large picture for a small size of it.
            part = picture.resize(size, Image.Resampling.BILINEAR, band, reducing_gap=3.0)
            pixels = np.asarray(part)
            for left in range(0, width - overlap, TILE):
                check()
                tile = pixels[:, left : left + TILE + overlap]
                (answers,) = self._p_net.run(None, {"pixels": tile[None]})
                found.append(cells(answers[0], SCORE) + np.array([left, top, left, top]))
        scale = np.array(picture.size * 2) / (width, height, width, height)
        return np.concatenate(found) * scale

    def _judge(
        self,
        net: onnxruntime.InferenceSession,
        side: int,
        picture: Image.Image,
        boxes: np.ndarray,
        check: Callable[[], None],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The squares that a network takes for faces, their scores, and offsets [N, 4]."""
        boxes = boxes[usable(boxes, picture.size)]
        answers = [np.empty((0, 5), np.float32)]
        for start in range(0, len(boxes), BATCH):
            check()
            crops = [_crop(picture, box, side) for box in boxes[start : start + BATCH]]
            answers += net.run(None, {"pixels": np.stack(crops)})
        found = np.concatenate(answers).astype(np.float64)
        kept = found[:, 0] >= logit(SCORE)
        return boxes[kept], found[kept, 0], found[kept, 1:]


@cache
def shipped() -> Mtcnn:
    return Mtcnn()


def sizes(size: tuple[int, int], min_face: int) -> Iterator[tuple[int, int]]:
    """Width and height at which P-net reads a picture: largest first, both even.

    At the first a face of ``min_face`` pixels has 12.
    """
    scale = CELL / min_face
    while min(size) * scale >= CELL:
        width, height = (2 * math.ceil(side * scale / 2) for side in size)
        yield width, height
        scale *= SHRINK


def cells(answers: np.ndarray, least: float) -> np.ndarray:
    """Boxes in P-net's map, [5, rows, columns]: of probability ``least`` or more, and no less
    than their eight neighbours, which read nearly the same pixels.
    """
    rows, columns = np.nonzero(answers[0] >= logit(least))
    around = np.pad(answers[0], 1, constant_values=-np.inf)
    near = [around[rows + down, columns + right] for down in range(3) for right in range(3)]
    highest = answers[0, rows, columns] >= np.max(near, axis=0, initial=-np.inf)
    rows, columns = rows[highest], columns[highest]
    corner = np.stack([columns, rows], axis=1) * float(STRIDE)
    boxes = np.concatenate([corner, corner + CELL], axis=1)
    return moved(boxes, answers[1:, rows, columns].T.astype(np.float64))


def moved(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes whose four edges were moved by ``offsets`` [N, 4], in sides of the box."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes + offsets * np.stack([width, height, width, height], axis=1)


def square(boxes: np.ndarray) -> np.ndarray:
    """Squares round the same middles, as large as the longer side of each box."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)[:, None] / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def usable(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which boxes have a pixel or more on each side, and their middle in a picture of a size."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    large = (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)
    inside = ((middle >= 0) & (middle < size)).all(axis=1)
    return large & inside


def suppress(
    boxes: np.ndarray, scores: np.ndarray, most: float, of_smaller: bool = False
) -> np.ndarray:
    """The boxes that stay, best first: none overlaps a better one by more than ``most``.

    Overlap is the share of the two boxes' union, or of the smaller box, that both cover.
    """
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        common = np.minimum(boxes[first, 2:], boxes[order, 2:])
        common -= np.maximum(boxes[first, :2], boxes[order, :2])
        both = common.clip(0).prod(axis=1)
        if of_smaller:
            whole = np.minimum(areas[first], areas[order])
        else:
            whole = areas[first] + areas[order] - both
        order = order[both <= most * whole]
    return np.array(kept, np.intp)


def logit(probability: float) -> float:
    """The score that stands for a probability."""
    return math.log(probability / (1 - probability))


def _crop(picture: Image.Image, box: np.ndarray, side: int) -> np.ndarray:
    """A square of a picture at a network's size, uint8 [side, side, 3]; black outside."""
    left, top = np.floor(box[:2]).astype(int).tolist()
    right, bottom = np.ceil(box[2:]).astype(int).tolist()
    if left < 0 or top < 0 or right > picture.width or bottom > picture.height:
        picture = picture.crop((left, top, right, bottom))
        box = box - [left, top, left, top]
    size, within = (side, side), tuple(box.tolist())
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, within))


def _detection(box: np.ndarray, score: float) -> Detection:
    size = (box[2:] - box[:2]) * FACE_SCALE
    corner = (box[:2] + box[2:] - size) / 2
    found = Box(*(round(value, 1) for value in [*corner.tolist(), *size.tolist()]))
    return Detection(found, 1 / (1 + math.exp(-score)))
