"""Pictures with their boxes and predictions drawn on, large enough to read on a small face."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fsr_fer.predict.results import Prediction

SMALLEST_DRAWN = 96
"""Pixels: a picture is enlarged until its smallest face has them, as far as ``LARGEST_DRAWN``."""
LARGEST_DRAWN, LONGEST_DRAWN = 2000, 20_000
"""A picture that is longer than the second is shrunk: beside it the text is as high as it is."""
TEXT_SIZE, LARGEST_TEXT = 16, 64
TEXT_SHARE = 60
"""Text is this part of a large picture's shorter side, to be read when the whole is seen."""
MOST_LINES = 40
GREEN, ORANGE, RED = (0, 150, 60), (215, 120, 0), (200, 30, 30)


def annotate(rgb: np.ndarray, rows: Sequence[Prediction]) -> Image.Image:
    """Draw the predictions of a picture, uint8 RGB [H, W, 3]: its boxes, and a line for each."""
    height, width, _ = rgb.shape
    smallest = min((row.pixels for row in rows if row.pixels), default=height)
    factor = max(1.0, min(SMALLEST_DRAWN / smallest, LARGEST_DRAWN / max(height, width)))
    factor = min(factor, LONGEST_DRAWN / max(height, width))
    drawn_width, drawn_height = (max(1, round(side * factor)) for side in (width, height))
    text_size = min(max(min(drawn_width, drawn_height) // TEXT_SHARE, TEXT_SIZE), LARGEST_TEXT)
    font = ImageFont.load_default(text_size)
    lines = [_line(row) for row in rows]
    colours = [colour for _, colour in lines]
    if len(rows) > 1:
        lines = [(f"{at}: {text}", colour) for at, (text, colour) in enumerate(lines, 1)]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [(f"and {len(lines) - MOST_LINES:,} more", RED)]
    line_height = round(text_size * 1.4)
    full_width = max(drawn_width, *(int(font.getlength(text) + text_size) for text, _ in lines))
    canvas = Image.new("RGB", (full_width, drawn_height + line_height * len(lines)))
    enlarged = Image.fromarray(rgb).resize((drawn_width, drawn_height), Image.Resampling.BICUBIC)
    canvas.paste(enlarged)
    draw = ImageDraw.Draw(canvas)
    line = text_size // 5  # round the box, for it may be wider than a face
    framed = {
        number: (
            row.box.x * factor - line,
            row.box.y * factor - line,
            (row.box.x + row.box.width) * factor + line,
            (row.box.y + row.box.height) * factor + line,
        )
        for number, row in enumerate(rows, 1)
        if row.box is not None and row.status != "bad_box"
    }
    for number, frame in framed.items():
        draw.rectangle(frame, outline=colours[number - 1], width=line)
    for number, (left, top, _, _) in framed.items():
        row = rows[number - 1]
        name = f"{number}: {row.label or row.status}"
        wide, high = font.getlength(name) + line, max(top - line_height, 0)
        others = (frame for other, frame in framed.items() if other != number)
        # Faces stand too close together for names: the numbers are enough, each has its line.
        if any(
            x < left + wide and left < x2 and y - line_height < top and high < y2
            for x, y, x2, y2 in others
        ):
            name = str(number)
            wide = font.getlength(name) + line
        where = (max(min(left, full_width - wide), 4), high)
        draw.text(where, name, "white", font, stroke_width=text_size // 8, stroke_fill="black")
    for at, (text, colour) in enumerate(lines):
        top = drawn_height + at * line_height
        draw.rectangle((0, top, text_size // 4, top + line_height - 2), fill=colour)
        draw.text((text_size // 2, top), text, "white", font)
    return canvas


def save(folder: Path, rgb: np.ndarray, rows: Sequence[Prediction]) -> None:
    """Write the annotated picture into ``folder``."""
    # The name is unique, and safe on every system.
    row = rows[0]
    stem = os.path.splitext(os.path.basename(row.source))[0]
    frame = "" if row.frame is None else f"-{row.frame:06d}"
    name = f"{row.input:06d}-{re.sub(r'[^A-Za-z0-9._-]', '_', stem)[:80]}{frame}.png"
    annotate(rgb, rows).save(folder / name)


def _line(row: Prediction) -> tuple[str, tuple[int, int, int]]:
    if row.label is None:
        return f"{row.status}: {row.message}", RED
    doubt, colour = (" (uncertain)", ORANGE) if row.uncertain else ("", GREEN)
    return f"{row.label} {row.probability:.2f}{doubt}, {row.pixels} pixels", colour
