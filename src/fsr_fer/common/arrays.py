"""Large arrays: written batch by batch, memory-mapped for reading."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing


@contextlib.contextmanager
def writing_array(
    path: Path, dtype: np.dtype, shape: tuple[int, ...]
) -> Iterator[Callable[[np.ndarray], object]]:
    """Yield a function that appends rows to the ``.npy`` file ``path``, which appears at the end.

    ``shape`` is that of the whole array. On an error ``path`` stays as it was. Written, not
    memory-mapped: a full disk is then a UserError, not a crash.
    """
    with replacing(path) as part, open(part, "wb") as file:
        header = {"descr": dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        write_array_header_1_0(file, header)

        yield lambda rows: file.write(np.ascontiguousarray(rows, dtype).tobytes())


def open_array(path: Path) -> np.ndarray:
    """Memory-map a ``.npy`` file; UserError if it is truncated or no ``.npy`` file."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path} is no array, or cut off: {error}") from error
    return array


def open_faces(path: Path) -> np.ndarray:
    """Memory-map uint8 [N, h, w, 3] faces; UserError if the file does not hold them."""
    faces = open_array(path)
    if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[3] != 3:
        raise UserError(f"{path}: {faces.dtype} {faces.shape}, expected uint8 [N, h, w, 3]")
    return faces
