"""Progress lines: what is being done, how far, how long still."""

from __future__ import annotations

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
    """A progress line on a terminal, nothing elsewhere; it shows up after one second."""
    from tqdm import tqdm  # kept out of the numerical core, which runs without it

    yield from tqdm(
        items, total=total, initial=done, desc=task, disable=None, delay=1.0, smoothing=0.1
    )
