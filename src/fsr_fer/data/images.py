"""One picture file of any kind to one face: upright RGB, uint8, 100x100.

Contract of every array here: [H, W, 3], channels red, green, blue, 0 to 255.
"""

import io
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.resize import imresize

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What Pillow may try: plain pictures, nothing that starts another program."""

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm",
    ".pgm",
)  # fmt: skip


_OPENING = threading.Lock()


class PictureError(ValueError):
    """A file that is no picture we can read; the message is what is wrong with it."""


def decode_picture(data: bytes) -> np.ndarray:
    """Decode a picture file to upright RGB, uint8 [H, W, 3].

    The EXIF orientation is applied, CMYK is converted without a colour profile, transparent pixels
    are put on white, 16-bit grey is scaled from 0..65535. Of an animation the first picture counts.

    Raises:
        PictureError: the bytes are empty, truncated, no picture, or in an unknown value range.
    """
    if not data:
        raise PictureError("is empty (0 bytes)")
    try:
        with _open(data) as picture:
            picture.load()
            if picture.format == "JPEG" and _is_cut(data, picture):
                raise PictureError("is cut off: pixels at its end have no data")
            upright = ImageOps.exif_transpose(picture)
            bmp = picture.format == "BMP" and upright.mode == "RGBA"
            if bmp and not np.asarray(upright)[:, :, 3].any():
                upright = upright.convert("RGB")  # its fourth byte is not in use
            return _to_rgb(upright)
    except (PictureError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise PictureError("is not a picture in a format that can be read") from None
    except Exception as error:  # damaged bytes make decoders fail in every way there is
        raise PictureError(f"cannot be decoded: {error or type(error).__name__}") from error


def _open(data: bytes) -> Image.Image:
    # Filters of warnings belong to all threads: two at a time would leave each other's behind.
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _is_cut(data: bytes, picture: Image.Image) -> bool:
    """Whether a JPEG's data end before its pixels do; libjpeg then fills these in silence.

    More data before the end mark are left over, except by a decoder that still waits for some.
    """
    end = data.rfind(b"\xff\xd9")
    end = len(data) if end < 0 else end
    longer = data[:end] + bytes(range(1, 200)) + data[end:]
    with Image.open(io.BytesIO(longer), formats=["JPEG"]) as other:
        return bool(other.tobytes() != picture.tobytes())


def to_face(rgb: np.ndarray) -> np.ndarray:
    """Bring RGB uint8 [H, W, 3] of any size to a face, uint8 [100, 100, 3].

    Only its middle square counts: stretching would change the proportions of the expression.
    """
    return imresize(middle_square(rgb), output_shape=(FULL_SIZE, FULL_SIZE))


def middle_square(rgb: np.ndarray) -> np.ndarray:
    """The middle of a picture [H, W, 3], as large as its shorter side: [side, side, 3]."""
    height, width, _ = rgb.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgb[top : top + side, left : left + side]


def _to_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = _scaled_grey(np.asarray(picture))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        # White, as the viewers show it in which people label pictures.
        behind = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(behind, picture)
    return np.array(picture.convert("RGB"))


def _scaled_grey(values: np.ndarray) -> np.ndarray:
    """Grey values of more than 8 bits, [H, W], as uint8: 0..65535 or 0.0..1.0 to 0..255."""
    if not np.isfinite(values).all():
        raise PictureError("has pixels that are not finite numbers")
    low, high = values.min(), values.max()
    full = 1.0 if values.dtype.kind == "f" else 65535.0
    if low < 0 or high > full:
        raise PictureError(f"has grey values from {low} to {high}; readable are 0 to {full:g}")
    return np.floor(values.astype(np.float64) * (255.0 / full) + 0.5).astype(np.uint8)
