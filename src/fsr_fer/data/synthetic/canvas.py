"""A small painter: antialiased shapes from Pillow, colour and light in NumPy floats."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLING = 3

Stroke = tuple[np.ndarray, float, float]
"""A line (float [K, 2]), how wide it is in the middle, and how strong in [0, 1]."""


@dataclass(frozen=True)
class Mask:
    """Coverage in [0, 1] (float32 [h, w]) of the part of the canvas that starts at (top, left)."""

    top: int
    left: int
    coverage: np.ndarray

    def times(self, factor: float) -> Mask:
        return Mask(self.top, self.left, self.coverage * np.float32(factor))

    def inside(self, other: Mask) -> Mask:
        """Keep what ``other``, of the same window, covers too."""
        return Mask(self.top, self.left, self.coverage * other.coverage)

    def outside(self, other: Mask) -> Mask:
        """Keep what ``other``, of the same window, does not cover."""
        return Mask(self.top, self.left, self.coverage * (1.0 - other.coverage))


@dataclass(frozen=True)
class Window:
    """A rectangle of the canvas in which masks are made; pixels are (x, y), y down."""

    left: int
    top: int
    right: int
    bottom: int

    @staticmethod
    def around(size: int, *shapes: np.ndarray, margin: float = 2.0) -> Window:
        """The part of a canvas of ``size`` x ``size`` that holds ``shapes`` and a margin."""
        points = np.concatenate([shape.reshape(-1, 2) for shape in shapes])
        low = np.floor(points.min(axis=0) - margin).astype(int)
        high = np.ceil(points.max(axis=0) + margin).astype(int)
        left, top = np.clip(low, 0, size - 1).tolist()
        right, bottom = np.clip(high, [left + 1, top + 1], size).tolist()
        return Window(left, top, right, bottom)

    def fill(self, *outlines: np.ndarray, blur: float = 0.0) -> Mask:
        """The union of closed outlines (float [K, 2]); ``blur`` is a sigma in pixels."""
        image, draw = self._draw()
        for outline in outlines:
            draw.polygon(self._inner(outline), fill=255)
        return self._finish(image, blur)

    def discs(self, centres: list[np.ndarray], radius: float, blur: float = 0.0) -> Mask:
        """The union of filled circles."""
        image, draw = self._draw()
        for centre in centres:
            x, y = self._inner(centre)
            r = radius * OVERSAMPLING
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
        return self._finish(image, blur)

    def strokes(self, strokes: list[Stroke], blur: float = 0.0) -> Mask:
        """Lines that taper towards both ends; where two cross, the later one counts."""
        image, draw = self._draw()
        for line, width, strength in strokes:
            fill = int(255 * min(max(strength, 0.0), 1.0))
            draw.polygon(self._inner(taper(line, width)), fill=fill)
        return self._finish(image, blur)

    def _draw(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        size = (self.right - self.left) * OVERSAMPLING, (self.bottom - self.top) * OVERSAMPLING
        image = Image.new("L", size)
        return image, ImageDraw.Draw(image)

    def _inner(self, points: np.ndarray) -> list[float]:
        # Pillow names the corner of a pixel by its number, so half a pixel lies at 0.5.
        shifted = (points - (self.left, self.top)) * OVERSAMPLING - 0.5
        return shifted.ravel().tolist()

    def _finish(self, image: Image.Image, blur: float) -> Mask:
        image = image.reduce(OVERSAMPLING)
        if blur > 0.0:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        return Mask(self.top, self.left, np.asarray(image, np.float32) / np.float32(255.0))


def taper(line: np.ndarray, width: float) -> np.ndarray:
    """The outline of a line (float [K, 2]) that is ``width`` thick in the middle, 0 at its ends."""
    step = np.empty_like(line)
    step[1:-1] = line[2:] - line[:-2]
    step[0], step[-1] = line[1] - line[0], line[-1] - line[-2]
    scale = 0.5 * width * _profile(len(line)) / np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2 + 1e-18)
    half = step[:, ::-1] * scale[:, None] * _QUARTER_TURN
    return np.concatenate([line + half, (line - half)[::-1]])


_QUARTER_TURN = np.array([-1.0, 1.0])


@functools.lru_cache
def _profile(points: int) -> np.ndarray:
    """Relative thickness along a line of so many points."""
    return np.sqrt(1.0 - 0.95 * np.linspace(-1.0, 1.0, points) ** 2)


class Canvas:
    """A square picture of float32 [size, size, 3] in [0, 1] (sRGB values)."""

    def __init__(self, size: int, background: np.ndarray) -> None:
        self.size = size
        self.pixels = np.broadcast_to(background, (size, size, 3)).astype(np.float32)

    @property
    def whole(self) -> Window:
        return Window(0, 0, self.size, self.size)

    def around(self, *shapes: np.ndarray, margin: float = 2.0) -> Window:
        return Window.around(self.size, *shapes, margin=margin)

    def paint(self, mask: Mask, colour: np.ndarray) -> None:
        """Lay ``colour`` (float [3], or [h, w, 3] of the mask's window) over the picture."""
        part = self._part(mask)
        part += mask.coverage[..., None] * (np.asarray(colour, np.float32) - part)

    def shade(self, mask: Mask, factor: np.ndarray | float) -> None:
        """Multiply by ``factor`` (a number, or float [h, w] or [3]) where the mask covers."""
        factor = np.asarray(factor, np.float32)
        if factor.ndim == 2:
            factor = factor[..., None]
        part = self._part(mask)
        part *= 1.0 + mask.coverage[..., None] * (factor - 1.0)

    def _part(self, mask: Mask) -> np.ndarray:
        height, width = mask.coverage.shape
        return self.pixels[mask.top : mask.top + height, mask.left : mask.left + width]
