"""Times that can be compared: taken in turns, the best of each kept; and processes of their own."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any


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
            wall, processor = time.perf_counter(), processor_seconds()
            run()
            if turn:
                found.wall = min(found.wall, time.perf_counter() - wall)
                found.processor = min(found.processor, processor_seconds() - processor)
    return least


def processor_seconds() -> float:
    """Of this process and of the children it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_own_process(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function of a script returns in a new process that has loaded the script alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
