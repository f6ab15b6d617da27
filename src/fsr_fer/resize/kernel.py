"""kernel.c from Python, where it is compiled: resizes a batch of uint8 pictures."""

import ctypes
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from .job import Job
from .weights import LOOSEST_MARGIN, Axis, contributions, float32_error

_INTERFACE = 1  # as resize_interface() in kernel.c says
_ADDING_A_HALF = 2.0**-15  # what float32 may lose when a half is added to a sum below 512


class _Pass(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_int64),
        ("out_size", ctypes.c_int64),
        ("taps", ctypes.c_int64),
        ("indices", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("exact_weights", ctypes.c_void_p),
        ("margin", ctypes.c_float),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel that lies beside this file; None if there is none that fits."""
    for path in sorted(Path(__file__).parent.glob("_kernel*.so")):
        try:
            found = ctypes.CDLL(str(path))
            interface, resize = found.resize_interface, found.resize
        except (OSError, AttributeError):  # another machine's, or not ours
            continue
        interface.restype = ctypes.c_int64
        if interface() != _INTERFACE:
            continue
        pass_pointer = ctypes.POINTER(_Pass)
        resize.argtypes = (
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64),
            *(pass_pointer, pass_pointer, ctypes.c_int64, ctypes.c_int),
        )
        resize.restype = ctypes.c_int
        return found
    return None


def can_resize(job: Job) -> bool:
    """Whether the kernel is there and its float32 sums are close enough for this job."""
    if job.dtype != "uint8" or library() is None:
        return False
    return all(float32_error(axis) <= LOOSEST_MARGIN for axis in (job.rows, job.columns))


def resize_bytes(images: np.ndarray, job: Job) -> np.ndarray:
    """Resize uint8 [N, H, W, C] where ``can_resize``; MemoryError if there is no room."""
    found = library()
    assert found is not None
    images = np.ascontiguousarray(images)
    shape = (len(images), job.rows.out_size, job.columns.out_size, job.channels)
    result = np.empty(shape, np.uint8)
    # With their arrays: of two threads that make a pass at once, the cache keeps one's alone.
    rows, columns = _held(job.rows), _held(job.columns)
    short = found.resize(
        images.ctypes.data,
        result.ctypes.data,
        len(images),
        ctypes.byref(rows[0]),
        ctypes.byref(columns[0]),
        job.channels,
        job.rows_first,
    )
    if short:
        raise MemoryError(f"no memory for a picture of {job.image_values} values in float32")
    return result


@lru_cache(maxsize=256)
def _held(axis: Axis) -> tuple[_Pass, tuple[np.ndarray, ...]]:
    """A pass as C sees it, with the arrays that it points into and that must live as long."""
    indices, weights = contributions(axis)
    error = float32_error(axis)
    arrays = (
        np.ascontiguousarray(indices, np.int32),
        np.ascontiguousarray(weights, np.float32),
        np.ascontiguousarray(weights),
    )
    margin = error + _ADDING_A_HALF if error else 0.0
    pointers = (array.ctypes.data for array in arrays)
    return _Pass(axis.size, axis.out_size, weights.shape[1], *pointers, margin), arrays
