"""Work done ahead of its consumer, by threads, in the order it was asked for."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def in_turn(
    pool: ThreadPoolExecutor, work: Callable[[S], T], items: Iterable[S], depth: int
) -> Iterator[T]:
    """``work`` done on each item by the pool, results in the items' order, ``depth`` under way.

    An error is raised at its place in the order; what has not begun by then is not begun.
    """
    under_way: deque[Future[T]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= depth:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()


def ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Yield ``items`` in order, up to ``depth`` of them made ahead by one thread.

    A consumer that stops early (closes the iterator, or is interrupted) stops the thread too.
    """
    end = object()
    source = iter(items)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool,
        closing(in_turn(pool, lambda _: next(source, end), itertools.count(), depth)) as made,  # type: ignore[type-var]
    ):
        for item in made:
            if item is end:
                return
            yield item  # type: ignore[misc]
