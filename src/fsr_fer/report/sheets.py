"""Sheets of faces: the same bytes for the same faces, every pixel of a face to be seen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.predictions import HR
from fsr_fer.report.figures import SETTINGS, size_label

ZOOM = 2
"""Each face pixel is drawn as 2x2, so that text beside it stays sharp on dense screens."""

GAP, LEFT, TOP = 8, 96, 34
CELL = IMAGE_SIZE + GAP

SHOWN_COLUMNS = ("x4", "x8")
"""Sizes at which the sheet of restored faces shows each face, as far as they are there."""


@dataclass(frozen=True, kw_only=True)
class ExampleFace:
    """A face at each size, uint8 [h, w, 3] keyed "hr", "x2", ...; ``title`` stands beside it.

    ``restored`` are the same put back to full size with bicubic, uint8 [100, 100, 3]; ``by_row``
    what each row that restores faces makes of them, keyed by row and size.
    """

    title: str
    sizes: Mapping[str, np.ndarray]
    restored: Mapping[str, np.ndarray]
    by_row: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)


class _Sheet:
    """White paper of so many face pixels, on which faces and words are put."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels = np.full((height, width, 3), 255, np.uint8)
        self.words: list[tuple[float, float, str, str]] = []

    def face(self, image: np.ndarray, x: int, y: int) -> None:
        self.pixels[y : y + image.shape[0], x : x + image.shape[1]] = image

    def write(self, text: str, x: float, y: float, align: str = "left") -> None:
        """Text whose lower edge is ``y`` face pixels below the top."""
        self.words.append((x, y, text, align))

    def png(self) -> tuple[bytes, int]:
        """The picture, and the width in CSS pixels at which the true sizes are true."""
        height, width = self.pixels.shape[:2]
        content = io.BytesIO()
        with mpl.rc_context(SETTINGS):
            figure = Figure(figsize=(width / 100, height / 100), dpi=100 * ZOOM)
            figure.figimage(self.pixels.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))
            for x, y, text, align in self.words:
                place = x / width, 1 - y / height
                figure.text(*place, text, ha=align, va="bottom", fontsize=8.5)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            picture = np.asarray(canvas.buffer_rgba())[..., :3]  # nothing is transparent
        Image.fromarray(np.ascontiguousarray(picture)).save(content, format="png")
        return content.getvalue(), width


def faces_figure(faces: Sequence[ExampleFace], pixels: Mapping[str, int]) -> tuple[bytes, int]:
    """Faces at each size, above in true size, below put back to full size (paper, figure 3).

    Returns a PNG and the width in CSS pixels at which the true sizes are true.
    """
    sheet = _Sheet(LEFT + CELL * len(pixels), TOP + (2 * CELL + GAP) * len(faces))
    for place, column in enumerate(pixels):
        middle = LEFT + place * CELL + IMAGE_SIZE / 2
        sheet.write(size_label(column, pixels[column], sep=", "), middle, 22, "center")
    for line, face in enumerate(faces):
        y = TOP + line * (2 * CELL + GAP)
        for place, column in enumerate(pixels):
            x = LEFT + place * CELL
            small = face.sizes[column]
            sheet.face(small, x + (IMAGE_SIZE - len(small)) // 2, y + IMAGE_SIZE - len(small))
            sheet.face(face.restored[column], x, y + CELL)
        sheet.write(f"{face.title}\n\ntrue size", 4, y + IMAGE_SIZE - 4)
        sheet.write("put back\nto full size", 4, y + CELL + IMAGE_SIZE - 4)
    return sheet.png()


def restored_figure(
    faces: Sequence[ExampleFace], pixels: Mapping[str, int]
) -> tuple[bytes, int] | None:
    """Faces restored by bicubic and by each row that restores, beside the full-size ones.

    After the paper's figure 5. Returns what ``faces_figure`` does; None if no row restores faces.
    """
    names = list(dict.fromkeys(name for face in faces for name in face.by_row))
    columns = [c for c in SHOWN_COLUMNS if any(c in f.by_row[n] for f in faces for n in f.by_row)]
    if not names or not columns:
        return None
    heads = ["small face", "bicubic", *names, size_label(HR, pixels[HR], sep=", ")]
    cell = CELL + 14  # the longest row's name fits above a face
    sheet = _Sheet(LEFT + cell * len(heads), TOP + (len(columns) * CELL + GAP) * len(faces))
    for place, head in enumerate(heads):
        sheet.write(head, LEFT + place * cell + IMAGE_SIZE / 2, 22, "center")
    for number, face in enumerate(faces):
        for line, column in enumerate(columns):
            y = TOP + number * (len(columns) * CELL + GAP) + line * CELL
            small = face.sizes[column]
            sheet.face(small, LEFT + (IMAGE_SIZE - len(small)) // 2, y + IMAGE_SIZE - len(small))
            shown = [face.restored[column], *(face.by_row[name].get(column) for name in names)]
            for place, image in enumerate([*shown, face.sizes[HR]], start=1):
                x = LEFT + place * cell
                if image is None:
                    sheet.write("–", x + IMAGE_SIZE / 2, y + IMAGE_SIZE / 2, "center")
                else:
                    sheet.face(image, x, y)
            title = f"{face.title}\n\n" if line == 0 else ""
            sheet.write(title + size_label(column, pixels[column]), 4, y + IMAGE_SIZE - 4)
    return sheet.png()
