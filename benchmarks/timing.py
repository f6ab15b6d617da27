"""Times that can be compared: taken in turns, the best of each kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Least:
    """The least seconds that a run took, by the clock and of all processors together."""

    wall: float = float("inf")
    processor: float = float("inf")


def in_turns(*runs: Callable[[], object], repeats: int) -> list[Least]:
    """Time each run ``repeats`` times, one after the other; one round before is not counted."""
    least = [Least() for _ in runs]
    for turn in range(repeats + 1):
        for found, run in zip(least, runs, strict=True):
            wall, processor = time.perf_counter(), time.process_time()
            run()
            if turn:
                found.wall = min(found.wall, time.perf_counter() - wall)
                found.processor = min(found.processor, time.process_time() - processor)
    return least
