"""Progress lines: what is being done, how far, how long still."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """How the library reports progress: it wraps what a loop iterates over."""

    def __call__(self, items: Iterable[T], *, total: int, task: str, done: int = 0) -> Iterable[T]:
        """Yield ``items`` unchanged; ``done`` of ``total`` lie behind already (a resumed run)."""


def quiet(items: Iterable[T], *, total: int, task: str, done: int = 0) -> Iterable[T]:
    """The tracker of library calls and tests: says nothing."""
    return items


def bar(items: Iterable[T], *, total: int, task: str, done: int = 0) -> Iterator[T]:
    """A progress line with rate and time left on a terminal, nothing elsewhere.

    It shows up after one second. Where there is no tqdm it is a plainer one, which also goes into
    logs, a line a minute: a bare node's job is watched in nothing else.
    """
    try:
        from tqdm import tqdm  # kept out of the numerical core, which runs without it
    except ImportError:
        yield from plain(items, total=total, task=task, done=done)
        return
    yield from tqdm(
        items, total=total, initial=done, desc=task, disable=None, delay=1.0, smoothing=0.1
    )


def plain(items: Iterable[T], *, total: int, task: str, done: int = 0) -> Iterator[T]:
    """A progress line that needs no library."""
    on_terminal = sys.stderr.isatty()
    pause, start, end = (1.0, "\r", "") if on_terminal else (60.0, "", "\n")
    began = shown = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown < pause and not (done + count == total and shown > began):
            continue
        shown = now
        rate = count / max(now - began, 1e-9)
        left = str(datetime.timedelta(seconds=round((total - done - count) / rate)))
        line = f"{task}: {done + count}/{total}, {rate:.1f}/s, {left} left"
        print(f"{start}{line:<70}", end=end, file=sys.stderr, flush=True)
    if on_terminal and shown > began:
        print(file=sys.stderr)
