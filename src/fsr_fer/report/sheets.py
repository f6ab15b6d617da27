"""Sheets of faces: the same bytes for the same faces, every pixel of a face to be seen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.predictions import HR
from fsr_fer.report.figures import short

ZOOM = 2
"""Each face pixel is drawn as 2x2, so that text beside it stays sharp on dense screens."""

LEFT, TOP = 96, 24
CELL_WIDTH, CELL_HEIGHT = IMAGE_SIZE + 18, IMAGE_SIZE + 8
FONT_SIZE = 12

SHOWN_COLUMNS = ("x4", "x8")
"""Sizes at which the sheet of restored faces shows each face, as far as they are there."""


@dataclass(frozen=True, kw_only=True)
class ExampleFace:
    """A face at each size, uint8 [h, w, 3] keyed "hr", "x2", ...; ``title`` stands beside it.

    ``upsampled`` are the same brought back to full size with bicubic, uint8 [100, 100, 3];
    ``restored`` what each method that restores faces makes of them, keyed by method and size.
    """

    title: str
    sizes: Mapping[str, np.ndarray]
    upsampled: Mapping[str, np.ndarray]
    restored: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)


Line = tuple[str, list[np.ndarray | None]]
"""What stands beside a line of faces, and the faces, None where there is none."""


def faces_sheet(faces: Sequence[ExampleFace], pixels: Mapping[str, int]) -> tuple[bytes, int]:
    """Faces at each size, above in true size, below brought back to full size (paper, figure 3).

    Returns a PNG and the width in CSS pixels at which the true sizes are true.
    """
    lines: list[Line] = []
    for face in faces:
        lines.append((f"{face.title}\n\ntrue size", [face.sizes[c] for c in pixels]))
        lines.append(("upsampled\nby bicubic", [face.upsampled[c] for c in pixels]))
    return _sheet([f"{short(c)}, {p} px" for c, p in pixels.items()], lines)


def restored_sheet(
    faces: Sequence[ExampleFace], pixels: Mapping[str, int]
) -> tuple[bytes, int] | None:
    """Faces restored by bicubic and by each method that restores, beside the full-size ones.

    After the paper's figure 5. Returns what ``faces_sheet`` does; None if no method restores faces.
    """
    names = list(dict.fromkeys(name for face in faces for name in face.restored))
    columns = [c for c in SHOWN_COLUMNS if any(c in f.restored[n] for f in faces for n in names)]
    lines: list[Line] = []
    for face in faces:
        for column in columns:
            title = f"{face.title}\n\n{short(column)}\n{pixels[column]} px"
            made = [face.restored[name].get(column) for name in names]
            lines.append(
                (title, [face.sizes[column], face.upsampled[column], *made, face.sizes[HR]])
            )
    heads = ["small face", "bicubic", *names, f"HR, {pixels[HR]} px"]
    return _sheet(heads, lines) if lines else None


def _sheet(heads: Sequence[str], lines: Sequence[Line]) -> tuple[bytes, int]:
    """Faces on white paper, a head over each column and a title beside each line."""
    width, height = LEFT + CELL_WIDTH * len(heads), TOP + CELL_HEIGHT * len(lines)
    paper = np.full((height, width, 3), 255, np.uint8)
    for number, (_, faces) in enumerate(lines):
        for place, face in enumerate(faces):
            if face is not None:
                rows, columns = face.shape[:2]
                y = TOP + number * CELL_HEIGHT + IMAGE_SIZE - rows
                x = LEFT + place * CELL_WIDTH + (IMAGE_SIZE - columns) // 2
                paper[y : y + rows, x : x + columns] = face
    picture = Image.fromarray(paper.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=ZOOM * FONT_SIZE)

    def write(text: str, x: float, y: float, anchor: str) -> None:
        draw.text((ZOOM * x, ZOOM * y), text, fill="black", font=font, anchor=anchor)

    for place, head in enumerate(heads):
        write(head, LEFT + place * CELL_WIDTH + IMAGE_SIZE / 2, TOP / 2, "mm")
    for number, (title, faces) in enumerate(lines):
        y = TOP + number * CELL_HEIGHT
        for line, words in enumerate(title.split("\n")):
            write(words, 4, y + 4 + line * (FONT_SIZE + 4), "la")
        for place, face in enumerate(faces):
            if face is None:
                middle = LEFT + place * CELL_WIDTH + IMAGE_SIZE / 2
                write("–", middle, y + IMAGE_SIZE / 2, "mm")
    content = io.BytesIO()
    picture.save(content, format="png")
    return content.getvalue(), width
