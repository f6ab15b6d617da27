"""MATLAB's bicubic ``imresize``: the same bits on uint8 images, and faster than Pillow on a batch.

Guarantees, method and speed stand in docs/imresize.md. The package needs NumPy alone and nothing
else of this project, so that the folder can be copied out; torch is used only for tensors.

Each pass is taken in float32 with a proven bound on its error, and what lies so close to a half
that it could round either way is summed again in float64: by kernel.c where it is compiled.
"""

import math
import numbers
import operator
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import kernel
from .job import Job
from .weights import Axis, Boundary

if TYPE_CHECKING:
    import torch

__all__ = ["Image", "imresize"]

# Beyond these a call is a mistake that would take minutes and gigabytes.
LARGEST_SIDE = 2**20
SMALLEST_SCALE = 2.0**-16

Image = TypeVar("Image", np.ndarray, "torch.Tensor")


def imresize(
    image: Image,
    scale: float | None = None,
    *,
    output_shape: tuple[int, int] | None = None,
    antialiasing: bool = True,
    boundary: Boundary = "symmetric",
) -> Image:
    """Resize as MATLAB's ``imresize(image, scale)`` or ``imresize(image, [height width])`` does.

    ``image`` is [H, W], [H, W, C] or [N, H, W, C], a NumPy array or a torch tensor on any device,
    and so is the result. Three axes are always one image: a batch of grey ones needs a channel
    axis. uint8 stays uint8; both passes round halves up and clip to 0..255, as MATLAB's do.
    float32 and float64 stay what they are and are neither rounded nor clipped; a tensor's gradient
    passes through.

    By ``scale``, both sides become ``ceil(scale * size)``, in float64 as in MATLAB. Shrinking
    widens the kernel unless ``antialiasing`` is off. ``boundary`` mirrors the picture at its edges
    (MATLAB since about R2015) or repeats the outermost pixels (before).

    Raises:
        TypeError: the image is neither array nor tensor (masked arrays and matrices are none) or
            has another dtype, ``scale`` is no number, or ``output_shape`` not two whole numbers.
        ValueError: both or neither of ``scale`` and ``output_shape`` are given, a side is 0, a
            value is out of range, or a pixel is not finite, before or after.
    """
    torch = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(image, torch.Tensor)
    if not is_tensor and type(image) not in (np.ndarray, np.memmap):
        raise TypeError(f"image is a {type(image).__name__}; expected a NumPy array or a tensor")
    given: Any = image
    if not is_tensor and not given.dtype.isnative:
        given = given.astype(given.dtype.newbyteorder("="))
    dtype: Any = str(given.dtype).removeprefix("torch.")
    if dtype not in ("uint8", "float32", "float64"):
        raise TypeError(f"image has dtype {dtype}; expected uint8, float32 or float64")
    shape: tuple[int, ...] = tuple(image.shape)
    if len(shape) not in (2, 3, 4) or 0 in shape[-3:]:
        raise ValueError(
            f"image has shape {shape}; expected [H, W], [H, W, C] or [N, H, W, C] with no side of 0"
        )
    if boundary not in ("symmetric", "replicate"):
        raise ValueError(f"boundary is {boundary!r}; expected 'symmetric' or 'replicate'")

    first = max(len(shape) - 3, 0)  # the axis of rows
    leading: tuple[int, ...] = shape[:first]
    trailing: tuple[int, ...] = shape[first + 2 :]
    height, width = shape[first : first + 2]
    (out_height, row_scale), (out_width, column_scale) = _target(
        (height, width), scale, output_shape
    )
    job = Job(
        rows=Axis(height, out_height, row_scale, bool(antialiasing), boundary),
        columns=Axis(width, out_width, column_scale, bool(antialiasing), boundary),
        channels=math.prod(trailing),
        dtype=dtype,
    )
    images: Any = given.reshape((math.prod(leading), height, width, job.channels))
    library: Any = torch if is_tensor else np
    if kernel.can_resize(job) and not (is_tensor and images.device.type != "cpu"):
        result = library.asarray(kernel.resize_bytes(np.asarray(images), job))
    elif is_tensor:
        from .tensors import resize_tensor

        result = resize_tensor(images, job)
    else:
        from .arrays import resize_array

        result = resize_array(images, job)
    if dtype != "uint8" and not bool(library.isfinite(result).all()):
        raise ValueError(f"image has values whose sums are beyond {dtype}")
    return result.reshape((*leading, out_height, out_width, *trailing))


def _target(
    sizes: tuple[int, int], scale: float | None, output_shape: tuple[int, int] | None
) -> list[tuple[int, float]]:
    """Resulting size and scale of both sides."""
    if (scale is None) == (output_shape is None):
        raise ValueError(
            f"scale is {scale} and output_shape is {output_shape}; expected one of the two"
        )
    if output_shape is None:
        if isinstance(scale, bool) or not isinstance(scale, numbers.Real):
            raise TypeError(f"scale is {scale!r}; expected one number")
        if not 0 < scale <= LARGEST_SIDE:
            raise ValueError(f"scale is {scale}; expected above 0, to {LARGEST_SIDE:,}")
        targets = [(math.ceil(float(scale) * size), float(scale)) for size in sizes]
    else:
        try:
            wanted = [operator.index(side) for side in output_shape]
        except TypeError:
            raise TypeError(f"output_shape is {output_shape!r}; expected (height, width)") from None
        if len(wanted) != 2 or min(wanted) < 1:
            raise ValueError(f"output_shape is {output_shape}; expected two sides of 1 or more")
        targets = [(side, side / size) for side, size in zip(wanted, sizes, strict=True)]
    for side, scale in targets:
        if side > LARGEST_SIDE or scale < SMALLEST_SCALE:
            raise ValueError(
                f"sides of {sizes} pixels would get {side:,}; expected at most {LARGEST_SIDE:,}, "
                f"and a scale from {SMALLEST_SCALE:g}"
            )
    return targets
