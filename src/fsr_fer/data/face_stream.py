"""Faces read batch by batch, resized to full size and computed on, by all cores or by a GPU.

Memory does not depend on the number of faces.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.progress import progress
from fsr_fer.data.downsampling import restore
from fsr_fer.data.settings import DownsampleSettings


@dataclass(frozen=True)
class Faces:
    """Some rows (int64) of an array of faces, uint8 [N, h, w, 3], and how to resize them.

    ``restored`` is None for full-size faces, else the scale of the small ones and the settings.
    """

    images: np.ndarray
    rows: np.ndarray
    restored: tuple[int, DownsampleSettings] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, batch: slice) -> np.ndarray:
        """The faces of a slice of the rows at full size, uint8 [B, 100, 100, 3]."""
        faces = np.ascontiguousarray(self.images[self.rows[batch]])
        return faces if self.restored is None else restore(faces, *self.restored)


def batch_size(device: torch.device, cpu: int, gpu: int) -> int:
    """How many faces at once: on a CPU as its caches hold, on a GPU more."""
    return cpu if device.type == "cpu" else gpu


def batches_of(count: int, size: int) -> list[slice]:
    """Slices of ``size`` that cover 0 to ``count``; the last one may be smaller."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def computed(
    faces: Faces,
    batches: Sequence[slice],
    compute: Callable[[Tensor], Tensor],
    device: torch.device,
    desc: str = "faces",
) -> Iterator[Tensor]:
    """The results of ``compute`` for each batch, in order, on the CPU.

    ``compute`` takes uint8 [B, 100, 100, 3] on ``device``; several threads call it. Each core works
    on a batch of its own, so the bytes do not depend on the number of cores, and decompositions of
    small matrices run side by side. A GPU computes one batch while the cores read the next ones.
    """
    turn = contextlib.nullcontext() if device.type == "cpu" else threading.Lock()

    @torch.inference_mode()
    def work(batch: slice) -> Tensor:
        images = torch.from_numpy(faces.read(batch))
        with turn:
            result = compute(images.to(device))
        return result.cpu()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of each thread that starts from here on
    pool = ThreadPoolExecutor(threads, thread_name_prefix="faces")
    under_way: deque[Future[Tensor]] = deque()
    try:  # as pool.map does, but only a few batches ahead (Python 3.14's buffersize)
        for batch in progress(batches, desc=desc):
            under_way.append(pool.submit(work, batch))
            if len(under_way) >= threads + 3:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
