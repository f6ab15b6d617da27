"""Faces computed batch by batch: in order, a few at a time, and errors at their place."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.face_stream import Faces, batches_of, computed
from tests import sections
from tests.data.test_downsampling import faces

CPU = torch.device("cpu")
SMALL = sections.downsample()


def numbered(count: int) -> Faces:
    """Full-size faces, each of one grey level."""
    grey = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Faces(np.broadcast_to(grey, (count, 100, 100, 3)), np.arange(count))


def running() -> int:
    return sum(thread.name.startswith("faces") for thread in threading.enumerate())


def test_results_come_in_order_and_small_faces_at_full_size() -> None:
    assert batches_of(9, 4) == [slice(0, 4), slice(4, 8), slice(8, 9)]
    made = computed(numbered(90), batches_of(90, 4), lambda faces: faces[:, 0, 0, 0], CPU)
    assert torch.cat(list(made)).tolist() == list(range(90))
    assert list(computed(numbered(0), batches_of(0, 4), lambda faces: faces, CPU)) == []
    small = downsample(faces(9), 6, SMALL)
    rows = np.array([7, 2, 3])
    (chosen,) = computed(Faces(small, rows, (6, SMALL)), [slice(0, 3)], lambda faces: faces, CPU)
    np.testing.assert_array_equal(chosen.numpy(), restore(small[rows], 6, SMALL))
    assert running() == 0


def test_an_error_comes_at_its_place_and_ends_the_threads() -> None:
    def compute(faces: Tensor) -> Tensor:
        if int(faces[0, 0, 0, 0]) == 8:
            raise FloatingPointError("gone")
        return faces[:, 0, 0, 0]

    made = computed(numbered(90), batches_of(90, 4), compute, CPU)
    assert [next(made).tolist(), next(made).tolist()] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(FloatingPointError, match="gone"):
        next(made)
    assert running() == 0


def test_no_more_is_read_ahead_than_a_few_batches_and_threads_are_left_as_they_were() -> None:
    threads, read = torch.get_num_threads(), []

    class Watched(Faces):
        def read(self, batch: slice) -> np.ndarray:
            read.append(batch)
            return super().read(batch)

    watched = Watched(numbered(200).images, np.arange(200))
    made = computed(watched, batches_of(200, 4), lambda faces: faces[:, 0, 0, 0], CPU)
    for taken, _ in enumerate(made, start=1):
        assert len(read) - taken <= threads + 3
        if taken == 20:
            made.close()  # type: ignore[attr-defined]
    assert len(read) < 20 + threads + 4
    assert running() == 0
    assert torch.get_num_threads() == threads
