"""A picture to predict, with the boxes of its faces if they are known."""

import codecs
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fsr_fer.common.errors import UserError
from fsr_fer.data.images import PictureError, decode_picture
from fsr_fer.predict.results import Box

Channels = Literal["rgb", "bgr", "gray"]
LARGEST_FILE = 2**29
"""Bytes; what is longer is no picture of people, and reading it would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One input: its name, number and content.

    ``content`` is a path, the bytes of a picture file, uint8 RGB [H, W, 3], or a function that
    returns that array. ``boxes`` is None if none were given. ``problem`` is an error known before
    the picture is read. In a video ``frame`` counts from 0, and ``seconds`` from its start.
    """

    number: int
    source: str
    content: str | bytes | np.ndarray | Callable[[], np.ndarray] = b""
    boxes: tuple[Box, ...] | None = None
    problem: str = ""
    frame: int | None = None
    seconds: float | None = None

    def read(self) -> np.ndarray:
        """Upright RGB, uint8 [H, W, 3]; PictureError if it cannot be had."""
        if self.problem:
            raise PictureError(self.problem)
        if isinstance(self.content, np.ndarray):
            return self.content
        if callable(self.content):
            return self.content()
        content = self.content if isinstance(self.content, bytes) else _read_file(self.content)
        try:
            return decode_picture(content)
        except MemoryError:
            raise PictureError("is too large for this machine's memory") from None


def _read_file(path: str) -> bytes:
    size = regular_size(path)
    if size > LARGEST_FILE:
        raise PictureError(f"has {size:,} bytes; at most {LARGEST_FILE:,} are read")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror or error}") from None


def as_text(file: io.BufferedReader, name: str, newline: str | None = None) -> io.TextIOWrapper:
    """A file of names as text. Names may be any bytes: what is not UTF-8 comes back as the same.

    UserError if it is UTF-16, as PowerShell writes it; ``name`` is what the error calls it.
    """
    if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UserError(f"{name} is UTF-16; save it as UTF-8")
    return io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline)


def regular_size(path: str) -> int:
    """The bytes of a file; PictureError if there is none, or something else is there."""
    try:
        status = os.stat(path)  # opening a pipe that nobody writes to would wait for ever
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        said = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot be read: {said}") from None
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        return status.st_size
    if kind == stat.S_IFDIR:
        raise PictureError("is a folder, not a picture")
    raise PictureError("is a pipe or a device, not a file; `-` reads standard input")


def rgb_of(array: np.ndarray, channels: Channels | None, name: str) -> np.ndarray:
    """A copy of an array as uint8 RGB [H, W, 3]: [H, W, 3] in rgb or bgr, [H, W] in gray.

    ``name`` is what errors call it.

    Raises:
        TypeError: the array is not uint8.
        ValueError: ``channels`` is not said, or the shape is another.
    """
    array = np.asarray(array)  # neither a matrix nor a masked array
    if array.dtype != np.uint8:
        raise TypeError(f"{name} has dtype {array.dtype}; expected uint8, 0 to 255")
    if channels not in ("rgb", "bgr", "gray"):
        raise ValueError(f'channels is {channels!r}; {name} needs "rgb", "bgr" or "gray"')
    expected = "[H, W]" if channels == "gray" else "[H, W, 3]"
    fits = array.ndim == 2 if channels == "gray" else array.ndim == 3 and array.shape[2] == 3
    if not fits or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; {channels} is {expected}")
    if channels == "gray":
        return np.repeat(array[:, :, None], 3, axis=2)
    # A copy: a camera's loop may put the next picture into the same array.
    return np.array(array[:, :, ::-1] if channels == "bgr" else array, order="C")
