"""The response to a request: predictions, and those of the same faces downsampled."""

import base64
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from fsr_fer.data.images import FORMATS
from fsr_fer.predict.detector import Detection, default_min_face
from fsr_fer.predict.faces import cut_square, is_crop
from fsr_fer.predict.model import Choices, Model
from fsr_fer.predict.mtcnn import shipped
from fsr_fer.predict.pictures import Picture
from fsr_fer.predict.results import Box, Prediction
from fsr_fer.resize import imresize
from fsr_fer.serve.form import Asked
from fsr_fer.serve.limits import Limits, Refused

SHRUNK_KEYS = ("pixels", "label", "probability", "uncertain", "expected_accuracy", "probabilities")


def answer(
    model: Model, asked: Asked, limits: Limits, check: Callable[[], None]
) -> list[dict[str, Any]]:
    """A row for each face, as ``fsr-fer predict --format jsonl`` writes it.

    During face detection ``check`` is called many times a second; what it raises ends it. If the
    request has ``pixels``, a row also has ``downsampled``: the prediction for the face resized to
    that side, and the small face itself; None if no face was predicted.

    Raises:
        Refused: the pictures, or the boxes in them, have too many pixels, or too many faces.
    """
    total = 0.0
    pictures, searched = [], []
    for number, ((name, content), boxes) in enumerate(
        zip(asked.pictures, asked.boxes, strict=True), 1
    ):
        width, height = _size(content, number, limits)
        total += width * height
        _check(total, limits, f"picture {number}, {width:,} x {height:,} pixels, is too large")
        if boxes is None and not is_crop(width, height):
            searched.append((width, height))
        pictures.append(Picture(number=number, source=name, content=content, boxes=boxes))
    _check_search(searched, asked.min_face, limits)
    for boxes in asked.boxes:
        total += sum(_area(box, model.card.margin) for box in boxes or ())
        _check(total, limits, "the boxes are too large")
    pixels_of: dict[int, np.ndarray] = {}

    def finished(rgb: np.ndarray, rows: list[Prediction]) -> None:
        pixels_of[rows[0].input] = rgb

    keep = finished if asked.pixels else None
    model = model.with_detector(_Detector(check, limits.faces))
    choices = Choices(min_face=asked.min_face)
    rows = [row for one in model.read(pictures, choices, keep) for row in one]
    said = [row.to_dict() for row in rows]
    if asked.pixels:
        squares = [_square(row, pixels_of, model.card.margin) for row in rows]
        downsampled = _downsampled(model, squares, asked.pixels)
        for one, small in zip(said, downsampled, strict=True):
            one["downsampled"] = small
    return said


class _Detector:
    """The shipped detector, for one request."""

    def __init__(self, check: Callable[[], None], most: int) -> None:
        self._detector = shipped().checking(check)
        self._most = most
        self._found = 0

    def detect(self, rgb: np.ndarray, min_face: int) -> list[Detection]:
        """The faces of a picture; Refused if those of the request are too many to read in time."""
        found = self._detector.detect(rgb, min_face)
        self._found += len(found)
        if self._found > self._most:
            raise Refused(
                413,
                f"{self._found:,} faces were found; at most {self._most} are read in one request: "
                "send fewer or smaller pictures, a larger min_face, or boxes of some faces",
            )
        return found


def _size(content: bytes, number: int, limits: Limits) -> tuple[int, int]:
    """Width and height by the file's header; 0 if it has none: decoding then reports why."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            return picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        _check(math.inf, limits, f"picture {number} is far too large")
    except Exception:  # damaged bytes fail in every way there is
        pass
    return 0, 0


def _area(box: Box, margin: float) -> float:
    area = box.width * box.height * (1 + 2 * margin) ** 2
    return 0.0 if math.isnan(area) else max(area, 0.0)  # what is no box has its own row


def _check(total: float, limits: Limits, what: str) -> None:
    if total > limits.pixels:
        raise Refused(
            413,
            f"{what}: one request may have {limits.pixels:,} pixels in pictures and boxes together",
        )


def _check_search(sizes: list[tuple[int, int]], min_face: int | None, limits: Limits) -> None:
    """Refuse a request whose face detection would take longer than the time limit."""
    areas = [width * height for width, height in sizes]
    leasts = [min_face or default_min_face(width, height) for width, height in sizes]
    work = sum(area * (20 / least) ** 2 for area, least in zip(areas, leasts, strict=True))
    if work > limits.searched:
        enough = math.ceil(20 * math.sqrt(sum(areas) / limits.searched))
        raise Refused(
            413,
            f"looking for faces of {min(leasts)} pixels in {sum(areas):,} pixels would take too "
            f"long; send fewer or smaller pictures, min_face={enough}, or boxes of the faces",
        )


def _square(row: Prediction, pixels_of: dict[int, np.ndarray], margin: float) -> np.ndarray | None:
    """The face of a row at its own resolution, uint8 [side, side, 3]; None without a prediction."""
    return cut_square(pixels_of[row.input], row.box, margin) if row.status == "ok" else None


def _downsampled(
    model: Model, squares: list[np.ndarray | None], pixels: int
) -> list[dict[str, Any] | None]:
    """The predictions for the faces downsampled to ``pixels`` as the test faces were.

    A face with no more pixels than that stays as it is.
    """
    small = [
        square
        if square is None or len(square) <= pixels
        else imresize(square, output_shape=(pixels, pixels))
        for square in squares
    ]
    pictures = [
        Picture(number=number, source="", content=face)
        for number, face in enumerate(small)
        if face is not None
    ]
    read = model.read(pictures, Choices(faces="crops"))
    rows = {row.input: row.to_dict() for one in read for row in one}
    return [
        None
        if face is None
        else {key: rows[number][key] for key in SHRUNK_KEYS} | {"face": _png(face)}
        for number, face in enumerate(small)
    ]


def _png(rgb: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
