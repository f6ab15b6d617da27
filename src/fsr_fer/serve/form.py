"""The form that ``POST /predict`` takes, read under limits and never written to a disk."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any, get_args

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.predict.faces import box_of
from fsr_fer.predict.model import Choices
from fsr_fer.predict.pictures import Picture
from fsr_fer.predict.results import SMALLEST_FACE, Box, Faces

FIELDS = ("pictures", "boxes", "faces", "pixels", "min_face")
LARGEST_MIN_FACE = 1000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may have; more is a 4xx that says so."""

    bytes: int = 10 * 2**20
    """Of the whole request."""
    pictures: int = 16
    pixels: int = 32_000_000
    """Of all its pictures and all its boxes together: the memory that reading takes."""
    searched: int = 60_000_000
    """Pixels of all its pictures in which faces of 20 pixels are looked for, an eighth of a second
    of one core a million; looking for faces of 10 pixels each counts as four."""
    faces: int = 256
    """Boxes that are given, and faces that are found."""
    seconds: float = 20.0
    """From the request's head to its answer."""
    requests: int = 64
    """At a time."""


class Refused(HTTPException):
    """A request that is not answered: the status, and one line that says what would be right."""


class _Parser(MultiPartParser):
    ended = False

    def on_end(self) -> None:
        self.ended = True


async def read_form(
    request: Request, limits: Limits, smallest: int
) -> tuple[list[Picture], Choices, int | None]:
    """Pictures of a request, how their faces are found, and its ``pixels``, or None.

    ``pixels``, from ``smallest`` to 100, is the side to which every face is also downsampled.
    Refused if it is no such form, or is larger than it may be.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refused(415, "expected a form, multipart/form-data, with the files as pictures")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "expected a form without content-encoding: send it uncompressed")
    parser = _Parser(
        request.headers,
        _limited(request, limits.bytes),
        max_files=limits.pictures,
        max_fields=limits.pictures + 3,
    )
    parser.spool_max_size = limits.bytes + 1  # in memory: no picture touches a disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            many = f"more than {limits.pictures} pictures; send several requests"
            raise Refused(413, many) from None
        raise Refused(400, f"the form cannot be read: {error.message}") from None
    except UnicodeError:  # of encodings that are not like others, such as punycode
        raise Refused(400, "the form cannot be read in its charset; expected UTF-8") from None
    if not parser.ended:
        raise Refused(400, "the form is cut off: its last boundary is missing")
    pictures: list[Picture] = []
    texts: dict[str, list[str]] = {name: [] for name in FIELDS[1:]}
    for name, value in form.multi_items():
        if name not in FIELDS:
            expected = ", ".join(FIELDS)
            raise Refused(422, f"the form has a field {name[:40]!r}; expected {expected}")
        if isinstance(value, UploadFile) != (name == "pictures"):
            expected = "a file: curl -F pictures=@FILE" if name == "pictures" else "text, no file"
            raise Refused(422, f"{name} must be {expected}")
        if isinstance(value, UploadFile):
            number = len(pictures) + 1
            called = value.filename or f"picture {number}"
            # A name may be told in any encoding; what no JSON can hold is replaced.
            called = called.encode("utf-8", "replace").decode()
            pictures.append(Picture(number=number, source=called, content=value.file.read()))
            await value.close()
        else:
            texts[name].append(value)
    if not pictures:
        raise Refused(422, "the form has no file; expected one or more, as pictures")
    boxes = _boxes(texts["boxes"], len(pictures), limits.faces)
    min_face = _number("min_face", texts["min_face"], SMALLEST_FACE, LARGEST_MIN_FACE)
    for name in ("min_face", "faces"):
        if texts[name] and None not in boxes:
            raise Refused(422, f"{name} is for pictures without boxes, and each has boxes")
    faces: Any = texts["faces"] or ["auto"]
    if len(faces) > 1 or faces[0] not in get_args(Faces):
        raise Refused(422, "faces must be one of auto, crops and detect, for all pictures")
    try:
        choices = Choices(faces=faces[0], min_face=min_face)
    except ValueError as error:
        raise Refused(422, str(error)) from None
    pixels = _number("pixels", texts["pixels"], smallest, FULL_SIZE)
    pictures = [replace(one, boxes=own) for one, own in zip(pictures, boxes, strict=True)]
    return pictures, choices, pixels


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Refused(413, f"the request has more than {most:,} bytes")
        yield chunk


def _boxes(texts: list[str], pictures: int, most: int) -> list[tuple[Box, ...] | None]:
    if not texts:
        return [None] * pictures
    if len(texts) != pictures:
        raise Refused(
            422,
            f"{pictures} pictures and {len(texts)} boxes: expected one boxes for each, in the "
            "same order; null where nobody knows",
        )
    result: list[tuple[Box, ...] | None] = []
    for number, text in enumerate(texts, 1):
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = ""
        four = isinstance(said, list) and all(isinstance(b, list) and len(b) == 4 for b in said)
        if said is not None and not four:
            raise Refused(
                422,
                f"boxes of picture {number} are no list of [x, y, width, height]: "
                "[[30, 40, 20, 20]] is one face",
            )
        result.append(None if said is None else tuple(box_of(box, "xywh") for box in said))
    faces = sum(len(boxes or ()) for boxes in result)
    if faces > most:
        raise Refused(413, f"{faces:,} boxes; at most {most} faces are read in one request")
    return result


def _number(name: str, texts: list[str], least: int, most: int) -> int | None:
    if not texts:
        return None
    (text, *more) = texts
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if more or not least <= value <= most:
        raise Refused(422, f"{name} must be one whole number from {least} to {most}")
    return value
