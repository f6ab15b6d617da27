"""Features made from faces and stored: a stream from disk to disk, over one process or many.

Reading and resizing, extraction, and writing overlap; how much memory they take does not depend on
the number of faces. A shard is written beside and renamed, so a killed run goes on after the last
whole one.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsr_fer.arrays import writing_array
from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.downsampling import restore
from fsr_fer.features.packing import encode, pack
from fsr_fer.features.tables import MANIFEST, Layout, close_folder, is_whole
from fsr_fer.files import replacing
from fsr_fer.models.covpool import FeatureExtractor, standardise
from fsr_fer.prefetch import in_turn
from fsr_fer.progress import Track, quiet
from fsr_fer.settings import DownsampleSettings

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
    ranks: Ranks = ALONE,
    track: Track = quiet,
    task: str = "features",
) -> None:
    """Write this process's share of the shards that ``folder`` does not hold yet.

    Raises:
        UserError: the disk is full.
    """
    extractor.eval()
    size = BATCH.get(device.type, BATCH["cpu"])
    mine = layout.shards[ranks.rank :: ranks.world]
    left = [shard for shard in mine if not is_whole(folder, layout, shard)]
    done = sum(len(_cuts(layout, shard, size)) for shard in mine if shard not in left)
    cuts = [cut for shard in left for cut in _cuts(layout, shard, size)]
    if device.type == "cpu":
        stream = _by_cores(extractor, faces, cuts, layout.dtype)
    else:
        stream = _by_device(extractor, faces, cuts, layout.dtype, device)
    stored = iter(track(stream, total=done + len(cuts), task=task, done=done))
    for shard in left:
        path = folder / layout.file(shard)
        with writing_array(path, layout.stored_dtype, layout.shape(shard)) as append:
            for rows in itertools.islice(stored, len(_cuts(layout, shard, size))):
                append(rows)


def _by_cores(
    extractor: FeatureExtractor, faces: Faces, cuts: Sequence[tuple[int, int]], dtype: str
) -> Iterator[np.ndarray]:
    """Stored features of each cut, in order; every core works on a batch of its own.

    Decompositions of small matrices do not split over threads and convolutions do so with loss:
    whole batches side by side keep all cores busy with either. It also makes the bytes the same
    whatever the number of threads.
    """
    cpu = torch.device("cpu")

    def work(cut: tuple[int, int]) -> np.ndarray:
        return encode(extract(extractor, faces.read(*cut), cpu), dtype)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of each thread that starts from here on
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="extract") as pool:
            yield from in_turn(pool, work, cuts, threads + AHEAD)
    finally:
        torch.set_num_threads(threads)


def _by_device(
    extractor: FeatureExtractor,
    faces: Faces,
    cuts: Sequence[tuple[int, int]],
    dtype: str,
    device: torch.device,
) -> Iterator[np.ndarray]:
    """Stored features of each cut, in order: cores read and resize, the device extracts."""
    readers = torch.get_num_threads()

    def fetch(packed: Tensor) -> np.ndarray:
        return encode(packed, dtype)

    with (
        ThreadPoolExecutor(readers, thread_name_prefix="read") as reading,
        ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetching,
    ):
        batches = in_turn(reading, lambda cut: faces.read(*cut), cuts, readers + AHEAD)
        packed = (extract(extractor, batch, device) for batch in batches)
        # The thread that fetches waits for the device; by then the next batch is under way.
        yield from in_turn(fetching, fetch, packed, AHEAD)


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
    return [(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
