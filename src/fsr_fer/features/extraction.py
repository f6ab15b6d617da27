"""Features made from faces and stored: a stream from disk to disk, over one process or many.

Reading and resizing, extraction, and writing overlap; how much memory they take does not depend on
the number of faces. A shard is written beside and renamed, so a killed run goes on after the last
whole one.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fsr_fer.arrays import writing_array
from fsr_fer.distributed import rank, world_size
from fsr_fer.downsampling import restore
from fsr_fer.features.packing import encode, pack
from fsr_fer.features.tables import MANIFEST, Layout, close_folder, is_whole
from fsr_fer.files import replacing
from fsr_fer.models.covpool import FeatureExtractor, standardise
from fsr_fer.prefetch import in_turn
from fsr_fer.progress import Track, quiet
from fsr_fer.settings import DownsampleSettings

T = TypeVar("T")

BATCH = {"cpu": 32, "cuda": 256}
"""Faces extracted at once. On a CPU more of them leave its caches; a GPU wants more to do."""

AHEAD = 3
"""Batches that may wait between two steps of the stream."""


@dataclass(frozen=True)
class Faces:
    """Some rows of an array of faces, uint8 [N, h, w, 3], and how they get to full size.

    ``restored`` is None for full-size faces, or else the scale of the small ones and its settings.
    """

    images: np.ndarray
    rows: np.ndarray
    restored: tuple[int, DownsampleSettings] | None = None

    def read(self, start: int, stop: int) -> np.ndarray:
        """Full-size faces, uint8 [stop - start, 100, 100, 3]."""
        batch = np.asarray(self.images[self.rows[start:stop]])
        return batch if self.restored is None else restore(batch, *self.restored)


@torch.inference_mode()
def extract(extractor: FeatureExtractor, faces: np.ndarray, device: torch.device) -> Tensor:
    """Packed features of full-size faces, uint8 [B, 100, 100, 3] -> float32 [B, P] there."""
    images = torch.from_numpy(np.ascontiguousarray(faces))
    return pack(extractor(standardise(images.to(device))))


def write_shards(
    extractor: FeatureExtractor,
    faces: Faces,
    folder: Path,
    layout: Layout,
    *,
    device: torch.device,
    track: Track = quiet,
    task: str = "features",
) -> None:
    """Write this process's share of the shards that ``folder`` does not hold yet.

    Raises:
        UserError: the disk is full.
    """
    extractor.eval()
    size = batch_size(device)
    mine = layout.shards[rank() :: world_size()]
    left = [shard for shard in mine if not is_whole(folder, layout, shard)]
    done = sum(len(_cuts(layout, shard, size)) for shard in mine if shard not in left)
    cuts = [cut for shard in left for cut in _cuts(layout, shard, size)]

    def compute(batch: np.ndarray) -> Tensor:
        return extract(extractor, batch, device)

    def fetch(packed: Tensor) -> np.ndarray:
        return encode(packed, layout.dtype)

    made = stream(faces, cuts, compute, fetch, device)
    stored = iter(track(made, total=done + len(cuts), task=task, done=done))
    for shard in left:
        path = folder / layout.file(shard)
        with writing_array(path, layout.stored_dtype, layout.shape(shard)) as append:
            for rows in itertools.islice(stored, len(_cuts(layout, shard, size))):
                append(rows)


def batch_size(device: torch.device) -> int:
    """How many faces are extracted at once on a device."""
    return BATCH.get(device.type, BATCH["cpu"])


def cuts_of(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Batches of ``size`` from ``start`` to before ``stop``; the last one may be smaller."""
    return [(first, min(first + size, stop)) for first in range(start, stop, size)]


def stream(
    faces: Faces,
    cuts: Sequence[tuple[int, int]],
    compute: Callable[[np.ndarray], Tensor],
    fetch: Callable[[Tensor], T],
    device: torch.device,
) -> Iterator[T]:
    """What ``fetch`` makes of what ``compute`` makes of the faces of each cut, in order.

    ``compute`` takes uint8 [B, 100, 100, 3] and gives a tensor on ``device``; ``fetch`` waits for
    it and brings it here. Threads of their own call both.
    """
    if device.type == "cpu":
        return _by_cores(faces, cuts, compute, fetch)
    return _by_device(faces, cuts, compute, fetch)


def _by_cores(
    faces: Faces,
    cuts: Sequence[tuple[int, int]],
    compute: Callable[[np.ndarray], Tensor],
    fetch: Callable[[Tensor], T],
) -> Iterator[T]:
    """``stream`` where every core works on a batch of its own.

    Decompositions of small matrices do not split over threads and convolutions do so with loss:
    whole batches side by side keep all cores busy with either. It also makes the bytes the same
    whatever the number of threads.
    """

    def work(cut: tuple[int, int]) -> T:
        return fetch(compute(faces.read(*cut)))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of each thread that starts from here on
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="extract") as pool:
            yield from in_turn(pool, work, cuts, threads + AHEAD)
    finally:
        torch.set_num_threads(threads)


def _by_device(
    faces: Faces,
    cuts: Sequence[tuple[int, int]],
    compute: Callable[[np.ndarray], Tensor],
    fetch: Callable[[Tensor], T],
) -> Iterator[T]:
    """``stream`` where cores read and resize, and the device computes."""
    readers = torch.get_num_threads()
    with (
        ThreadPoolExecutor(readers, thread_name_prefix="read") as reading,
        ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetching,
    ):
        batches = in_turn(reading, lambda cut: faces.read(*cut), cuts, readers + AHEAD)
        computed = (compute(batch) for batch in batches)
        # The thread that fetches waits for the device; by then the next batch is under way.
        yield from in_turn(fetching, fetch, computed, AHEAD)


def publish(work: Path, layout: Layout, folder: Path) -> None:
    """Close the shards in ``work`` and make them the folder of features, all of it or nothing.

    They are linked, not moved: should the run be stopped before DVC has recorded the folder, the
    next one still finds them in ``work``.

    Raises:
        UserError: a shard is missing: not all processes wrote to this folder.
    """
    close_folder(work, layout)
    with replacing(folder) as part:
        part.mkdir()
        for name in (*map(layout.file, layout.shards), MANIFEST):
            try:
                os.link(work / name, part / name)
            except OSError:  # another file system, or one without links
                shutil.copyfile(work / name, part / name)


def _cuts(layout: Layout, shard: int, size: int) -> list[tuple[int, int]]:
    """The batches of a shard: they never cross its ends, so every process cuts alike."""
    rows = layout.rows(shard)
    return cuts_of(rows.start, rows.stop, size)
