"""Prediction with a model: what ``fsr_fer.load`` returns and the command runs."""

import itertools
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.data import images
from fsr_fer.data.images import PictureError, to_face
from fsr_fer.predict.detector import Detector, default_min_face
from fsr_fer.predict.faces import BoxError, box_of, cut_square, is_crop
from fsr_fer.predict.model_file import Card, read_model_file
from fsr_fer.predict.mtcnn import shipped
from fsr_fer.predict.pictures import Channels, Picture, rgb_of
from fsr_fer.predict.results import SMALLEST_FACE, Box, BoxForm, Faces, Prediction
from fsr_fer.predict.videos import EVERY, with_frames

SHIPPED = Path(__file__).with_name("model.onnx")
MOST_THREADS = 8
"""Each holds a decoded picture, which may be 100 megabytes and more."""
SEARCHED = 4
"""Pictures a thread gets at a time where they may have to be searched, a second each, or are no
files: arrays and frames of a video are held decoded."""
Source = str | os.PathLike[str] | bytes | np.ndarray | Image.Image
Boxes = Sequence[Sequence[float]] | np.ndarray
_MISSING = object()
_LOADING = threading.Lock()
"""An image of Pillow's reads its file when its pixels are wanted, and may be several sources."""
_Face = tuple[list[Prediction], int, np.ndarray]
"""The rows of a picture, which of them is about the face, and it, uint8 [100, 100, 3]."""
Finished = Callable[[np.ndarray, list[Prediction]], None]
Network = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Faces, uint8 RGB [N, 100, 100, 3], and pixels, float32 [N] -> probabilities [N, K]."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Options of a prediction, as of ``Model.predict``; ValueError if one is out of its range."""

    faces: Faces = "auto"
    min_face: int | None = None
    every: int = EVERY
    batch_size: int = 64
    top_k: int | None = None
    min_probability: float | None = None

    def __post_init__(self) -> None:
        if self.faces not in get_args(Faces):
            raise ValueError(f'faces is {self.faces!r}; expected "auto", "crops" or "detect"')
        least = {"min_face": SMALLEST_FACE, "every": 1, "batch_size": 1, "top_k": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name in ("min_face", "top_k"):
                continue
            if not (isinstance(value, Integral) and int(value) >= smallest):
                raise ValueError(f"{name} is {value!r}; expected a whole number from {smallest}")
        if self.min_face is not None and self.faces == "crops":
            raise ValueError("min_face is for pictures in which faces are looked for, not crops")
        limit = self.min_probability
        if limit is not None and not (isinstance(limit, Real) and 0 <= limit <= 1):
            raise ValueError(f"min_probability is {limit!r}; expected 0 to 1")

    def is_crop(self, width: int, height: int) -> bool:
        """Whether a picture of this size, without boxes, is one face."""
        return self.faces == "crops" or (self.faces == "auto" and is_crop(width, height))


class Model:
    """Predicts expressions; ``fsr_fer.load`` returns one. Several threads may share it.

    On one machine a face's prediction is bit-identical in a batch of any size and with any number
    of threads: each run computes on one thread, and faces of a batch do not interact. A method of
    the pipeline, which torch runs, may differ in the last digits.
    """

    def __init__(self, card: Card, network: Network, detector: Detector | None = None) -> None:
        self.card = card
        self._network = network
        self._detector = detector

    def __repr__(self) -> str:
        return f"<Model {self.card.name}: {', '.join(self.class_names)}>"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The expressions, in the order of the probabilities."""
        return self.card.class_names

    def predict(
        self,
        sources: Source | Iterable[Source],
        *,
        boxes: Iterable[Boxes | Mapping[int, Boxes | None] | None] | None = None,
        box_form: BoxForm | None = None,
        channels: Channels | None = None,
        faces: Faces = "auto",
        min_face: int | None = None,
        every: int = EVERY,
        batch_size: int = 64,
        top_k: int | None = None,
        min_probability: float | None = None,
    ) -> Iterator[Prediction]:
        """Predict the faces of pictures, one after the other, as the iterator is consumed.

        A source is the path of a picture or a video, the bytes of a picture, Pillow's Image, or an
        array, uint8 [H, W, 3] in ``channels`` rgb or bgr, or [H, W] in gray. ``boxes`` has for each
        source a list of boxes, in pixels of the upright picture and in ``box_form``, or None; for a
        video {frame: list}. Otherwise each ``every``-th frame of a video is used. Without boxes
        ``faces`` decides whether a picture is one face (``crops``) or faces are detected in it
        (``detect``), from ``min_face`` pixels (10, or 20 in pictures above 2 megapixels); ``auto``
        detects them in pictures wider or higher than 200 pixels.
        ``min_probability`` replaces the model's limit below which a prediction is uncertain;
        ``top_k`` keeps the most probable classes. Every source gives one prediction or more; a
        picture that cannot be read gives one with ``status`` "unreadable".

        Raises:
            TypeError: a source is none of these, or an array that is not uint8.
            ValueError: an array without ``channels``, boxes without ``box_form``, no list of them
                for each source, or an option out of its range.
            UserError: the model gives something that is no probability.
        """
        if (boxes is not None or box_form is not None) and box_form not in ("xywh", "xyxy"):
            raise ValueError(f'box_form is {box_form!r}; boxes need "xywh" or "xyxy"')
        choices = Choices(
            faces=faces,
            min_face=min_face,
            every=every,
            batch_size=batch_size,
            top_k=top_k,
            min_probability=min_probability,
        )
        one = isinstance(sources, (str, os.PathLike, bytes, bytearray, memoryview))
        one = one or (isinstance(sources, np.ndarray) and sources.dtype.kind not in "UO")  # paths
        several = isinstance(sources, Iterable) or hasattr(sources, "__getitem__")
        one = one or not several or hasattr(sources, "read")  # a file has lines
        listed: Any = [sources] if one else sources
        pictures = _pictures(listed, boxes, box_form or "", channels)
        read = self.read(with_frames(pictures, every), choices)
        return (prediction for rows in read for prediction in rows)

    def read(
        self, pictures: Iterable[Picture], choices: Choices, finished: Finished | None = None
    ) -> Iterator[list[Prediction]]:
        """The predictions of each picture, in order; ``finished`` gets its pixels and them.

        Batches run in parallel, one per core; only their results are held in memory.
        """
        # Whoever wants the pixels gets one picture a batch, so that few are held.
        size = 1 if finished else choices.batch_size
        waiting: deque[Future[list[list[Prediction]]]] = deque()
        affinity = getattr(os, "sched_getaffinity", None)  # Linux's
        cores = len(affinity(0)) if affinity else os.cpu_count() or 1
        threads = min(cores, MOST_THREADS)
        pool = ThreadPoolExecutor(threads)
        try:
            for batch in _batches(pictures, size, choices.faces):
                waiting.append(pool.submit(self._read_batch, batch, choices, finished))
                if len(waiting) > threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_batch(
        self, pictures: Iterable[Picture], choices: Choices, finished: Finished | None
    ) -> list[list[Prediction]]:
        results: list[list[Prediction]] = []
        todo: list[_Face] = []
        for picture in pictures:
            rgb, rows = self._rows(picture, choices)
            results.append(rows)
            for at, row in enumerate(rows):
                if rgb is not None and row.status == "ok":
                    rows[at], face = self._cut(rgb, row)
                    if face is not None:
                        todo.append((rows, at, face))
                if len(todo) == choices.batch_size:
                    self._fill(todo, choices)
            if finished and rgb is not None:
                self._fill(todo, choices)
                finished(rgb, rows)
        self._fill(todo, choices)
        return results

    def _rows(
        self, picture: Picture, choices: Choices
    ) -> tuple[np.ndarray | None, list[Prediction]]:
        """A picture's pixels, and a row for each face in it, or one with the reason for none."""
        row = Prediction(
            input=picture.number,
            source=picture.source,
            frame=picture.frame,
            seconds=picture.seconds,
        )
        try:
            rgb = picture.read()
        except PictureError as error:
            message = " ".join(str(error).split())
            row = replace(row, status="unreadable", message=message)
            return None, [replace(row, box=box) for box in picture.boxes or (None,)]
        height, width, _ = rgb.shape
        if picture.boxes is not None:
            faces = [replace(row, box=box) for box in picture.boxes]
            message = "no box was given for it"
        elif choices.is_crop(width, height):
            return rgb, [row]
        else:
            least = choices.min_face or default_min_face(width, height)
            message = (
                f"none of {least} pixels or more was found; if one face fills the picture, "
                "set faces to crops, or give its box"
            )
            faces = []
            for box, score in (self._detector or shipped()).detect(rgb, least):
                if len(box) != 4:
                    raise TypeError(f"the detector gave {box}; expected x, y, width, height")
                # Another one may have NumPy's numbers, which JSON does not know.
                known = None if score is None else float(score)
                faces.append(replace(row, box=Box(*map(float, box)), score=known))
        return rgb, faces or [replace(row, status="no_face", message=message)]

    def _cut(self, rgb: np.ndarray, row: Prediction) -> tuple[Prediction, np.ndarray | None]:
        """The face that a row is about, uint8 [100, 100, 3], resized once from its own pixels."""
        try:
            square = cut_square(rgb, row.box)
        except BoxError as error:
            return replace(row, status="bad_box", message=str(error)), None
        side = len(square)
        row = replace(row, pixels=side)
        if side < self.card.smallest_pixels:
            message = f"{side} pixels; the model reads faces from {self.card.smallest_pixels}"
            return replace(row, status="too_small", message=message), None
        return row, to_face(square)

    def _fill(self, todo: list[_Face], choices: Choices) -> None:
        if not todo:
            return
        sides = np.array([rows[at].pixels for rows, at, _ in todo], np.float32)
        probabilities = self.probabilities(np.stack([face for *_, face in todo]), sides)
        for (rows, at, _), values in zip(todo, probabilities, strict=True):
            rows[at] = self._complete(rows[at], values, choices)
        todo.clear()

    def probabilities(self, faces: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Class probabilities [N, K] of uint8 RGB [N, 100, 100, 3] and float32 [N].

        UserError if the model gives something that is no probability.
        """
        probabilities = self._network(faces, pixels)
        shape = (len(faces), len(self.class_names))
        # NaN is not above anything either.
        if probabilities.shape != shape or not (probabilities >= 0).all():
            raise UserError(
                f"model {self.card.name!r} gives no probabilities of {shape[1]} classes; "
                "it is damaged, or made otherwise than by fsr-fer"
            )
        return probabilities

    def _complete(self, row: Prediction, values: np.ndarray, choices: Choices) -> Prediction:
        named = dict(zip(self.class_names, map(float, values), strict=True))
        ordered = sorted(named, key=named.__getitem__, reverse=True)
        label, limit = ordered[0], choices.min_probability
        if choices.top_k is not None:
            named = {name: named[name] for name in ordered[: choices.top_k]}
        assert row.pixels is not None
        measured = self.card.expected_accuracy(row.pixels) if self.card.pixels else None
        return replace(
            row,
            label=label,
            probability=named[label],
            probabilities=named,
            expected_accuracy=measured,
            uncertain=bool(named[label] < (self.card.uncertain_below if limit is None else limit)),
        )


def load(
    path: str | os.PathLike[str] | None = None,
    detector: Detector | None = None,
    *,
    profile: str | None = None,
    device: str | None = None,
) -> Model:
    """The model shipped with the package, or that in the file ``path``, with a face detector.

    ``detector`` is the shipped one by default. In the folder of the pipeline ``path`` may also be a
    method of ``profile`` or of the selected one, such as "mixed_resolution"; it then runs in torch,
    on ``device`` (cpu, cuda, ...).

    Raises:
        UserError: file or method is missing, or the file is no model of this project. A number
            that was changed within its weights goes unnoticed.
    """
    name = "" if path is None else os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"the model is {path!r}; expected a path, str or pathlib's")
    if path is not None and (not name or "\0" in name):
        raise UserError(
            f"the model's name is {name!r}; expected that of a file or of a method of the pipeline"
        )
    packed = name.endswith(".safetensors")
    if packed or (re.fullmatch(r"[\w-]+", name) and not os.path.isfile(name)):
        # Only where it is asked for, for it needs what `pip install fsr-fer` does not bring.
        try:
            from fsr_fer.pipeline.method_model import load_method_model, load_packed
        except ModuleNotFoundError as error:
            what = (
                "a packed network, which" if packed else "no model file; a method of the pipeline"
            )
            raise UserError(
                f"{name} is {what} needs {error.name}: pip install 'fsr-fer[pipeline]'"
            ) from None
        if not packed:
            return load_method_model(name, profile, device, detector)
        if not profile:
            return load_packed(Path(name), device, detector)
    if profile or device:
        raise UserError(
            "a profile and a device are for a method of the pipeline, such as mixed_resolution; "
            f"the model is {'the shipped one' if path is None else f'the file {path}'}"
        )
    card, session = read_model_file(SHIPPED if path is None else Path(path))

    def network(faces: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        try:
            (probabilities,) = session.run(["probabilities"], {"faces": faces, "pixels": pixels})
        except Exception as error:  # onnxruntime has a class of its own for each kind of damage
            said = str(error).strip().partition("\n")[0]
            raise UserError(f"the model {card.name!r} cannot be run: {said}") from None
        return np.asarray(probabilities)

    return Model(card, network, detector)


def _pictures(
    sources: Iterable[Any],
    boxes: Iterable[Any] | None,
    box_form: str,
    channels: Channels | None,
) -> Iterator[Picture]:
    pairs: Iterable[tuple[Any, Any]] = ((source, None) for source in sources)
    if boxes is not None:
        pairs = itertools.zip_longest(sources, boxes, fillvalue=_MISSING)
    for number, (source, given) in enumerate(pairs, 1):
        name: str
        content: str | bytes | np.ndarray | Callable[[], np.ndarray]
        if source is _MISSING or given is _MISSING:
            ended = "sources" if source is _MISSING else "boxes"
            raise ValueError(f"{ended} end after {number - 1}; expected boxes for each source")
        if isinstance(source, np.ndarray):
            name, content = f"array {number}", rgb_of(source, channels, f"source {number}")
        elif isinstance(source, bytes):
            name, content = f"bytes {number}", source
        elif isinstance(source, Image.Image):
            name, content = f"image {number}", partial(_pixels, source)
        elif isinstance(source, (str, os.PathLike)):
            name = content = os.fsdecode(source)
        else:
            raise TypeError(
                f"source {number} is of type {type(source).__name__}; expected a path, the bytes "
                "of a picture, Pillow's Image, or a uint8 array"
            )
        by_frame: dict[Any, Any] = {None: given}
        if isinstance(given, Mapping):
            numbers = all(isinstance(frame, Integral) and int(frame) >= 0 for frame in given)
            if not (given and numbers and isinstance(content, str)):
                raise ValueError(
                    f"boxes of source {number} are {given!r}; expected a list, or of the path of "
                    "a video {frame from 0: a list}"
                )
            by_frame = {int(frame): given[frame] for frame in sorted(given)}
        for frame, some in by_frame.items():
            faces = None if some is None else _boxes(some, box_form, number)
            yield Picture(number=number, source=name, content=content, boxes=faces, frame=frame)


def _pixels(image: Image.Image) -> np.ndarray:
    with _LOADING:
        return images.upright_rgb(image)


def _boxes(given: Any, form: str, number: int) -> tuple[Box, ...]:
    try:
        # What has keys, or letters, would give these in the place of numbers.
        boxes = [() if isinstance(box, Mapping | str) else tuple(box) for box in given]
    except TypeError:
        boxes = [()]
    if any(len(box) != 4 for box in boxes):
        raise ValueError(
            f"boxes of source {number} are {given!r}; expected a list with four numbers for each "
            "of its faces, [(30, 40, 20, 20)], and boxes a list of such lists"
        )
    return tuple(box_of(box, form) for box in boxes)


def _batches(pictures: Iterable[Picture], size: int, faces: Faces) -> Iterator[Iterable[Picture]]:
    batch: list[Picture] = []
    failed: list[Exception] = []
    try:
        for picture in pictures:
            batch.append(picture)
            held = not isinstance(picture.content, str)
            few = held or (faces != "crops" and picture.boxes is None)
            if len(batch) >= (min(size, SEARCHED) if few else size):
                yield batch
                batch = []
    except Exception as error:
        failed.append(error)
    if batch:
        yield batch
    if failed:
        yield map(_raise, failed)  # behind the rows of what stands before it


def _raise(error: Exception) -> Picture:
    raise error
