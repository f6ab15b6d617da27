"""Grids of faces: the same bytes for the same faces, every pixel of a face to be seen."""

import functools
import io
from collections.abc import Sequence
from itertools import islice, zip_longest

import numpy as np
from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.downsampling import restore
from fsr_fer.evaluation.predictions import HR
from fsr_fer.report.inputs import ReportInputs

ZOOM = 2
"""Each face pixel is drawn as 2x2: text stays sharp on dense screens."""

CELL, LEFT, TOP = FULL_SIZE + 14, 96, 28

SHOWN_SCALES = ("x4", "x8")
"""Sizes in the grid of restored faces, of those that the profile has."""

Line = tuple[str, Sequence[np.ndarray | None]]


def example_rows(inputs: ReportInputs) -> list[int]:
    """Rows of test faces, drawn by (seed, class), the classes in turn, each once."""
    test = inputs.manifest.rows("test")
    labels = inputs.manifest.labels[test]
    by_class = [
        np.random.default_rng((inputs.seed, label)).permutation(test[labels == label])
        for label in range(len(inputs.manifest.class_names))
    ]
    in_turn = (row for turn in zip_longest(*by_class) for row in turn if row is not None)
    return [int(row) for row in islice(in_turn, inputs.report.example_faces)]


def sizes_grid(inputs: ReportInputs) -> bytes:
    """Each example at every size, true and upsampled (paper, figure 3); a PNG."""
    lines: list[Line] = []
    for row in example_rows(inputs):
        small = [_face(inputs, row, size) for size in inputs.sizes]
        lines.append((f"{_class_name(inputs, row)}\n\ntrue size", small))
        lines.append(("upsampled", [_upsampled(inputs, row, size) for size in inputs.sizes]))
    return _grid([inputs.title(size) for size in inputs.sizes], lines)


def restored_grid(inputs: ReportInputs) -> bytes | None:
    """The examples as bicubic and each method restores them (figure 5); a PNG."""
    names = [name for name in inputs.methods if (inputs.data / "restored" / name).exists()]
    sizes = [size for size in SHOWN_SCALES if size in inputs.scale_names]
    if not names or not sizes:
        return None
    test = inputs.manifest.rows("test").tolist()
    lines: list[Line] = []
    for row in example_rows(inputs):
        for size in sizes:
            files = [inputs.data / f"restored/{name}/{size}.npy" for name in names]
            theirs = [open_faces(f)[test.index(row)] if f.exists() else None for f in files]
            title = f"{_class_name(inputs, row)}\n\n" if size == sizes[0] else ""
            faces = [_face(inputs, row, size), _upsampled(inputs, row, size), *theirs]
            lines.append((title + inputs.title(size), [*faces, _face(inputs, row, HR)]))
    return _grid(["small face", "bicubic", *names, inputs.title(HR)], lines)


def _class_name(inputs: ReportInputs, row: int) -> str:
    return inputs.manifest.class_names[inputs.manifest.labels[row]]


@functools.cache
def font_of(text: str) -> ImageFont.FreeTypeFont:
    """Pillow's own font if it has all characters of a text, else the first of the system's."""
    own = ImageFont.load_default(size=11 * ZOOM)
    assert isinstance(own, ImageFont.FreeTypeFont)
    system = sorted(font.fname for font in fontManager.ttflist if "LastResort" not in font.fname)
    needed = {ord(character) for character in text if not character.isspace()}
    for place in (own.path, findfont("DejaVu Sans"), *system):
        if needed <= FT2Font(place).get_charmap().keys():
            return own if place is own.path else ImageFont.truetype(place, 11 * ZOOM)
    _note_boxes()
    return own


@functools.cache  # once is enough
def _note_boxes() -> None:
    print("note: no font here has all characters of the names; in pictures of faces some are boxes")


def _face(inputs: ReportInputs, row: int, size: str) -> np.ndarray:
    """The face in this row of the manifest, uint8 [h, w, 3]."""
    file = "dataset/images.npy" if size == HR else f"downsample/{size}.npy"
    return np.array(open_faces(inputs.data / file)[row])


def _upsampled(inputs: ReportInputs, row: int, size: str) -> np.ndarray:
    """The same at full size again, as the networks read it, uint8 [100, 100, 3]."""
    faces = _face(inputs, row, size)[None]
    return restore(faces, inputs.factors[size], inputs.downsample)[0]


def _grid(heads: Sequence[str], lines: Sequence[Line]) -> bytes:
    """A PNG of titled lines of faces, uint8 [h, w, 3] up to 100 x 100; None is a dash."""
    words = [(font_of(title), word) for title, _ in lines for word in title.splitlines()]
    longest = max(font.getlength(word) for font, word in words)  # a class may have a long name
    left = max(LEFT, int(longest / ZOOM) + 10)
    size = (ZOOM * (left + CELL * len(heads)), ZOOM * (TOP + CELL * len(lines)))
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)

    def write(x: float, y: float, text: str, anchor: str) -> None:
        draw.text((x * ZOOM, y * ZOOM), text, "black", font_of(text), anchor)

    for column, head in enumerate(heads):
        write(left + column * CELL + FULL_SIZE / 2, TOP - 8, head, "ms")
    for number, (title, faces) in enumerate(lines):
        bottom = TOP + number * CELL + FULL_SIZE
        for column, face in enumerate(faces):
            middle = left + column * CELL + FULL_SIZE // 2
            if face is None:
                write(middle, bottom - FULL_SIZE / 2, "–", "ms")
            else:
                height, width = face.shape[:2]
                zoomed = Image.fromarray(face.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))
                corner = (middle - (width + 1) // 2, bottom - height)
                picture.paste(zoomed, (corner[0] * ZOOM, corner[1] * ZOOM))
        write(4, bottom - 4, title, "ld")
    content = io.BytesIO()
    picture.save(content, format="png")
    return content.getvalue()
