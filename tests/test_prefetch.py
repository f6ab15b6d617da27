"""Reading ahead changes neither order nor errors, and ends with its consumer."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fsr_fer.prefetch import ahead


def running() -> int:
    return sum(thread.name.startswith("ahead") for thread in threading.enumerate())


def test_items_come_in_order() -> None:
    assert list(ahead(range(100), depth=3)) == list(range(100))
    assert list(ahead([])) == []
    assert running() == 0


def test_an_error_comes_at_its_place() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    items = ahead(faulty(), depth=5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="gone"):
        next(items)
    assert running() == 0


def test_a_consumer_that_stops_ends_the_thread() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    items = ahead(endless(), depth=2)
    assert [next(items), next(items)] == [0, 1]
    items.close()  # type: ignore[attr-defined]
    assert running() == 0
    assert len(made) <= 5
