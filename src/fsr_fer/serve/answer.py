"""The response to a request: predictions, and those of the same faces downsampled."""

import base64
import io
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from fsr_fer.data.images import FORMATS
from fsr_fer.predict.detector import Detection, default_min_face
from fsr_fer.predict.faces import cut_square
from fsr_fer.predict.model import Choices, Model
from fsr_fer.predict.mtcnn import shipped
from fsr_fer.predict.pictures import Picture
from fsr_fer.predict.results import Prediction
from fsr_fer.resize import imresize
from fsr_fer.serve.form import Limits, Refused

SHRUNK_KEYS = ("pixels", "label", "probability", "uncertain", "expected_accuracy", "probabilities")


def answer(
    model: Model,
    plain: Model | None,
    pictures: list[Picture],
    choices: Choices,
    pixels: int | None,
    limits: Limits,
    check: Callable[[], None],
) -> list[dict[str, Any]]:
    """A row for each face, as ``fsr-fer predict --format jsonl`` writes it.

    During face detection ``check`` is called many times a second; what it raises ends it. With
    ``pixels`` a row also has ``downsampled``: the prediction for the face resized to that side,
    ``plain``'s label and probability for it, and the small face itself; None if no face was
    predicted. Refused if the pictures, or the boxes in them, have too many pixels or faces.
    """
    total = 0.0
    searched = []
    for picture in pictures:
        width, height = _size(picture, limits)
        total += width * height
        what = f"picture {picture.number}, {width:,} x {height:,} pixels, is too large"
        _check(total, limits, what)
        if picture.boxes is None and not choices.is_crop(width, height):
            least = choices.min_face or default_min_face(width, height)
            searched.append((width * height, least))
    _check_search(searched, limits)
    for box in (box for picture in pictures for box in picture.boxes or ()):
        # One that is no box has its row.
        if min(box.width, box.height) > 0 and math.isfinite(area := box.width * box.height):
            total += area
            _check(total, limits, "the boxes are too large")
    pixels_of: dict[int, np.ndarray] = {}

    def keep(rgb: np.ndarray, rows: list[Prediction]) -> None:
        pixels_of[rows[0].input] = rgb

    model = Model(model.card, model.probabilities, _Detector(check, limits.faces))
    read = model.read(pictures, choices, keep if pixels else None)
    rows = [row for one in read for row in one]
    said = [row.to_dict() for row in rows]
    if pixels:
        good = [row for row in rows if row.status == "ok"]
        squares = [cut_square(pixels_of[row.input], row.box) for row in good]
        downsampled = _downsampled(model, plain, squares, pixels)
        for one in said:
            one["downsampled"] = next(downsampled) if one["status"] == "ok" else None
    return said


class _Detector:
    """The shipped detector, for one request."""

    def __init__(self, check: Callable[[], None], most: int) -> None:
        self._check = check
        self._most = most
        self._found = 0

    def detect(self, rgb: np.ndarray, min_face: int) -> list[Detection]:
        """The faces of a picture; Refused if those of the request are too many to read in time."""
        found = shipped().detect(rgb, min_face, self._check)
        self._found += len(found)
        if self._found > self._most:
            raise Refused(
                413,
                f"{self._found:,} faces were found; at most {self._most} are read in one request: "
                "send fewer pictures, a part of one, a larger min_face, or boxes of some faces",
            )
        return found


def _size(picture: Picture, limits: Limits) -> tuple[int, int]:
    """Width and height by the file's header; 0 if it has none: decoding then reports why."""
    assert isinstance(picture.content, bytes)
    try:
        with Image.open(io.BytesIO(picture.content), formats=FORMATS) as image:
            return image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        _check(math.inf, limits, f"picture {picture.number} is far too large")
    except Exception:  # damaged bytes fail in every way there is
        pass
    return 0, 0


def _check(total: float, limits: Limits, what: str) -> None:
    if total > limits.pixels:
        raise Refused(
            413,
            f"{what}: one request may have {limits.pixels:,} pixels in pictures and boxes together",
        )


def _check_search(searched: list[tuple[int, int]], limits: Limits) -> None:
    """Refuse a search, pixels and smallest face of each picture, that would take too long."""
    work = sum(area * (20 / least) ** 2 for area, least in searched)
    if work > limits.searched:
        pixels = sum(area for area, _ in searched)
        least = min(least for _, least in searched)
        enough = math.ceil(20 * math.sqrt(pixels / limits.searched))
        raise Refused(
            413,
            f"looking for faces of {least} pixels in {pixels:,} pixels would take too long; "
            f"send fewer or smaller pictures, min_face={enough}, or boxes of the faces",
        )


def _downsampled(
    model: Model, plain: Model | None, faces: list[np.ndarray], pixels: int
) -> Iterator[dict[str, Any]]:
    """The predictions for faces, uint8 [side, side, 3], downsampled as the test faces were.

    A face with no more than ``pixels`` stays as it is.
    """
    small = [
        imresize(face, output_shape=(pixels, pixels)) if len(face) > pixels else face
        for face in faces
    ]
    rows = model.predict(small, channels="rgb", faces="crops")
    others = plain.predict(small, channels="rgb", faces="crops") if plain else [None] * len(small)
    for face, row, other in zip(small, rows, others, strict=True):
        said, png = row.to_dict(), io.BytesIO()
        Image.fromarray(face).save(png, "PNG")
        address = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
        compared = other and {"label": other.label, "probability": other.probability}
        yield {key: said[key] for key in SHRUNK_KEYS} | {"plain": compared, "face": address}
