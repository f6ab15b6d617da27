"""Decode a picture file and turn it into a face: upright RGB, uint8, 100x100.

Every array here is [H, W, 3], channels red, green, blue, 0 to 255.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.resize import imresize

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Formats that Pillow may try: plain pictures, none that starts another program."""

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".gif", ".tif", ".tiff",
    ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip

MOST_PIXELS = 89_478_485
"""Above, Pillow warns of a decompression bomb."""
MOST_SCANS = 30
"""Of a JPEG; progressive ones have ten. Each costs the time of a whole picture and few bytes."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture of each EXIF orientation upright."""

_OPENING = threading.Lock()


class PictureError(ValueError):
    """A file that cannot be read as a picture; the message says why."""


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    """Damaged bytes make decoders fail in every way there is: all are a PictureError."""
    try:
        yield
    except (PictureError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureError(f"has more than {MOST_PIXELS:,} pixels; no more are read") from None
    except Image.UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise PictureError(f"is not a picture in a format that can be read: {known}") from None
    except Exception as error:
        raise PictureError(f"cannot be decoded: {error or type(error).__name__}") from error


@_decoding()
def decode_picture(data: bytes) -> np.ndarray:
    """Decode a picture file to upright RGB, uint8 [H, W, 3].

    The EXIF orientation is applied, CMYK is converted without a colour profile, transparent pixels
    are put on white, 16-bit grey is scaled from 0..65535. Of an animation the first picture counts.
    PictureError if the bytes are empty, truncated, no picture, or in an unknown value range.
    """
    if not data:
        raise PictureError("is empty (0 bytes)")
    # Filters of warnings belong to all threads: two at a time would leave each other's behind.
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    with picture:
        jpeg = picture.format in ("JPEG", "MPO")
        scans, end = _scans(data) if jpeg else (0, 0)
        if scans > MOST_SCANS:
            raise PictureError(f"is a JPEG of more than {MOST_SCANS} scans")
        picture.load()
        if jpeg and _is_cut(data, end, picture):
            raise PictureError("is cut off: pixels at its end have no data")
        upright = _upright(picture)
        bmp = picture.format == "BMP" and upright.mode == "RGBA"
        if bmp and not np.asarray(upright)[:, :, 3].any():
            upright = upright.convert("RGB")  # its fourth byte is not in use
        return _to_rgb(upright)


@_decoding()
def upright_rgb(picture: Image.Image) -> np.ndarray:
    """An opened picture as upright RGB, uint8 [H, W, 3]; PictureError if it cannot be had."""
    return _to_rgb(_upright(picture))


def _scans(data: bytes) -> tuple[int, int]:
    """The scans of a JPEG's first picture and where it ends; previews and what follows are not it.

    Where damage hides its end mark the last one counts, or the end of the data.
    """
    at, found = 2, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 2 <= len(data):
        marker = data[at + 1]
        if marker == 0xD9:
            return found, at
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # these have no length
            at += 1 if marker == 0xFF else 2
            continue
        found += marker == 0xDA
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    last = data.rfind(b"\xff\xd9")
    return found, len(data) if last < 0 else last


def _upright(picture: Image.Image) -> Image.Image:
    """A decoded picture as its EXIF data say, of which no other entry matters."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF says nothing
        return picture
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def _is_cut(data: bytes, end: int, picture: Image.Image) -> bool:
    """Whether a JPEG's data end before its pixels do; libjpeg then fills these in silence.

    More data before the end mark are left over, except by a decoder that still waits for some.
    """
    # A byte 255 at the cut would make a mark of what follows.
    longer = data[:end].rstrip(b"\xff") + bytes(range(1, 200)) + data[end:]
    with Image.open(io.BytesIO(longer), formats=["JPEG"]) as other:
        return bool(other.tobytes() != picture.tobytes())


def to_face(rgb: np.ndarray) -> np.ndarray:
    """Crop and resize RGB, uint8 [H, W, 3] of any size, to a face, uint8 [100, 100, 3].

    Only the central square is used: stretching would change the proportions of the expression.
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
        return np.repeat(_scaled_grey(picture)[:, :, None], 3, axis=2)
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        # White, as the viewers show it in which people label pictures.
        behind = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(behind, picture)
    return np.array(picture.convert("RGB"))


def _scaled_grey(picture: Image.Image) -> np.ndarray:
    """Grey values of more than 8 bits as uint8 [H, W]: 0..65535 or 0.0..1.0 to 0..255.

    Refused are a TIFF of 12 bits or of 15 and a sign, whose white would be dark here, one whose
    white is 0, and whole numbers up to 255, which nearly always are 8 bits in a wider form.
    """
    tags = getattr(picture, "tag_v2", {})
    bits, signed = tags.get(BITSPERSAMPLE, (16,))[0], tags.get(SAMPLEFORMAT, (1,))[0] == 2
    white_is_0 = tags.get(PHOTOMETRIC_INTERPRETATION, 1) == 0
    if bits not in (16, 32) or (bits == 16 and signed) or white_is_0:
        raise PictureError("is a TIFF of grey levels in a form that is not read; save 8 bits")
    values = np.asarray(picture)
    if not np.isfinite(values).all():
        raise PictureError("has pixels that are not finite numbers")
    low, high = values.min(initial=0), values.max(initial=0)
    full = 1.0 if values.dtype.kind == "f" else 65535.0
    if low < 0 or high > full:
        raise PictureError(f"has grey values from {low} to {high}; readable are 0 to {full:g}")
    if full > 1.0 and 0 < high <= 255:
        raise PictureError(f"has grey values from {low} to {high} of {full:g}; save 8 bits")
    grey = np.floor(values.astype(np.float64) * (255.0 / full) + 0.5).astype(np.uint8)
    transparent = picture.info.get("transparency")  # a level of 16 bits, of a PNG
    return np.where(values == transparent, np.uint8(255), grey) if transparent is not None else grey
