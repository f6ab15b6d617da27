"""Progress bars on a terminal."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def progress(
    items: Iterable[T], *, total: int | None = None, desc: str, initial: int = 0
) -> Iterable[T]:
    """``items``, with a line of rate and time left on a terminal; elsewhere nothing is printed.

    ``initial`` of ``total`` are done already (a resumed run). Without tqdm there is no line.
    """
    try:
        from tqdm import tqdm
    except ImportError:  # a GPU machine may lack it (docs/gpu.md)
        return items
    bar: Iterable[T] = tqdm(
        items, total=total, initial=initial, desc=desc, disable=None, delay=1.0, smoothing=0.1
    )
    return bar
