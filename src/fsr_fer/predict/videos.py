"""The frames of videos, one after the other; PyAV decodes them (the extra ``video``)."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from fsr_fer.data import images
from fsr_fer.data.images import PictureError
from fsr_fer.predict.pictures import Picture, regular_size

SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".3gp", ".3g2", ".wmv", ".flv", ".ogv",
)  # fmt: skip
EVERY = 25
"""Of so many frames one is read: about one a second."""
# None of them has other files opened, as playlists do, whatever the file is called.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,gif"
PICTURES = tuple(suffix for suffix in images.SUFFIXES if suffix != ".gif")
MISSING_SECONDS = 0.5
"""A video that ends so much before the time that its head states was cut off."""


def with_frames(pictures: Iterable[Picture], every: int) -> Iterator[Picture]:
    """The same pictures; in the place of each video every ``every``-th of its frames, from 0.

    Where pictures name a ``frame``, that one is decoded; pictures of one number have ascending
    frames. A damaged video has one more picture at the end, with a problem.
    """
    for _, group in itertools.groupby(pictures, key=lambda picture: picture.number):
        others = iter(group)
        first = next(others)
        if first.problem or not _is_video(first):
            yield first
            yield from others
        elif first.frame is not None:
            yield from _named(first, others)
        elif first.boxes is not None:
            yield replace(first, problem="is a video; boxes in it need their frame")
        else:
            yield from _each(first, every)


def _is_video(picture: Picture) -> bool:
    name = picture.content.lower() if isinstance(picture.content, str) else ""
    # A file of boxes may count the pictures of a sequence as frames.
    return name.endswith(SUFFIXES) or (picture.frame is not None and not name.endswith(PICTURES))


def _each(video: Picture, every: int) -> Iterator[Picture]:
    try:
        for number, picture in _frames(video):
            if number % every == 0:
                yield picture
    except PictureError as error:
        yield replace(video, problem=str(error))


def _named(first: Picture, others: Iterator[Picture]) -> Iterator[Picture]:
    frames = _frames(first)
    number, found, problem = -1, first, ""
    for picture in itertools.chain([first], others):
        wanted = picture.frame or 0
        while not problem and number < wanted:
            try:
                number, found = next(frames)
            except StopIteration:
                problem = "the video ends before this frame"
            except PictureError as error:
                problem = str(error)
        if number == wanted:
            yield replace(picture, seconds=found.seconds, content=found.content)
        else:
            yield replace(picture, problem=problem or "the frame is damaged")


def _frames(video: Picture) -> Iterator[tuple[int, Picture]]:
    """Every frame that can be read, in order; then PictureError if that was not all."""
    path = str(video.content)
    try:
        import av
    except ModuleNotFoundError:
        raise PictureError("is a video; what reads it: pip install 'fsr-fer[video]'") from None
    if regular_size(path) == 0:
        raise PictureError("is empty (0 bytes)")
    options = {"format_whitelist": DEMUXERS}
    try:
        # A name could be an address or a pattern to FFmpeg; an open file is what it is.
        with (
            open(path, "rb") as file,
            av.open(file, options=options, metadata_errors="replace") as container,
        ):
            for number, seconds, frame in _decoded(container, av.FFmpegError):
                rgb = partial(_rgb, frame)
                yield number, replace(video, frame=number, seconds=seconds, content=rgb)
    except av.FFmpegError as error:
        raise PictureError(f"is no video that can be read: {error.strerror}") from None
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror or error}") from None


def _decoded(container: Any, damaged: type[Exception]) -> Iterator[tuple[int, float | None, Any]]:
    stream = container.streams.best("video")
    context = stream and stream.codec_context
    if context is None:  # no stream, or FFmpeg has no decoder for it
        raise PictureError("holds no video that can be decoded")
    if context.width * context.height > images.MOST_PIXELS:
        raise PictureError(f"has more than {images.MOST_PIXELS:,} pixels; no more are read")
    context.options = {"max_pixels": str(images.MOST_PIXELS)}  # frames may become larger later
    start = Fraction(container.start_time or 0, 1_000_000)
    number, seconds, end, problem = 0, 0.0, 0.0, ""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            if packet.pts is not None:
                last = (packet.pts + (packet.duration or 0)) * packet.time_base
                end = max(end, float(last))
            frames = packet.decode()
        except damaged:  # later packets may be whole; after an error of demux there are none
            problem = problem or _damaged(number, seconds)
            continue
        for frame in frames:
            time = None if frame.pts is None else float(frame.pts * frame.time_base - start)
            seconds = seconds if time is None else time
            if frame.is_corrupt:
                problem = problem or _damaged(number, seconds)
            else:
                yield number, time, frame
            number += 1
    stated = _stated_end(container.format.name, stream)
    if not problem and number and end + MISSING_SECONDS < stated:
        problem = f"is cut off: it ends at {end - start:.2f} s of {stated - start:.2f}"
    if problem or not number:
        raise PictureError(problem or "has no frames")


def _damaged(number: int, seconds: float) -> str:
    return f"is damaged or cut off near frame {number}, {seconds:.2f} s"


def _stated_end(format: str, stream: Any) -> float:
    """The end of a video by its header; 0 if the header does not state it reliably.

    In seconds, as timestamps count; of AVI and Matroska alone: in MP4 FFmpeg knows itself what is
    missing.
    """
    if format == "avi" and stream.average_rate:  # its duration is guessed from the file's size
        return float(stream.frames / stream.average_rate)
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (KeyError, ValueError):
        return 0.0


def _rgb(frame: Any) -> np.ndarray:
    """A frame upright, as the video says it was held."""
    rgb = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
