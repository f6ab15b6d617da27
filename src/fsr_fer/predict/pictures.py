"""A picture to read, with the boxes of its faces where they are known."""

import os
import stat
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fsr_fer.data.images import PictureError, decode_picture
from fsr_fer.predict.results import Box

Channels = Literal["rgb", "bgr", "gray"]
LARGEST_FILE = 2**29
"""Bytes; what is longer is no picture of people, and reading it would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One input: what it is called and what it is read from.

    ``content`` is a path, the bytes of a picture file, or uint8 RGB [H, W, 3]. ``boxes`` is None
    where nobody said where the faces are. ``problem`` is what is wrong with it, if that is known
    before it is read.
    """

    number: int
    source: str
    content: str | bytes | np.ndarray = b""
    boxes: tuple[Box, ...] | None = None
    problem: str = ""

    def read(self) -> np.ndarray:
        """Upright RGB, uint8 [H, W, 3]; PictureError if it cannot be had."""
        if self.problem:
            raise PictureError(self.problem)
        if isinstance(self.content, np.ndarray):
            return self.content
        content = self.content if isinstance(self.content, bytes) else _read_file(self.content)
        try:
            return decode_picture(content)
        except MemoryError:
            raise PictureError("is too large for this machine's memory") from None


def _read_file(path: str) -> bytes:
    try:
        status = os.stat(path)  # opening a pipe that nobody writes to would wait for ever
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG and status.st_size <= LARGEST_FILE:
            with open(path, "rb") as file:
                return file.read()
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a null character in the name
        raise PictureError(f"cannot be read: {error}") from None
    if kind == stat.S_IFREG:
        raise PictureError(f"has {status.st_size:,} bytes; at most {LARGEST_FILE:,} are read")
    if kind == stat.S_IFDIR:
        raise PictureError("is a folder, not a picture")
    raise PictureError("is a pipe or a device, not a file; `-` reads standard input")


def rgb_of(array: np.ndarray, channels: Channels | None) -> np.ndarray:
    """An array as uint8 RGB [H, W, 3]: [H, W, 3] in rgb or bgr, [H, W] in gray.

    Raises:
        TypeError: the array is not uint8.
        ValueError: ``channels`` is not said, or the shape is another.
    """
    if channels not in ("rgb", "bgr", "gray"):
        raise ValueError(f'channels is {channels!r}; an array needs "rgb", "bgr" or "gray"')
    if array.dtype != np.uint8:
        raise TypeError(f"an array has dtype {array.dtype}; expected uint8, 0 to 255")
    expected = "[H, W]" if channels == "gray" else "[H, W, 3]"
    fits = array.ndim == 2 if channels == "gray" else array.ndim == 3 and array.shape[2] == 3
    if not fits or 0 in array.shape:
        raise ValueError(f"an array has shape {array.shape}; {channels} is {expected}")
    if channels == "gray":
        return np.repeat(array[:, :, None], 3, axis=2)
    return np.ascontiguousarray(array[:, :, ::-1] if channels == "bgr" else array)
