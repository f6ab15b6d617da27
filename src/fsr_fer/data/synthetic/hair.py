"""Paints hair: outlines of a few cuts, filled with strands."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from fsr_fer.data.synthetic.canvas import Canvas
from fsr_fer.data.synthetic.geometry import Pose, shifted, smooth
from fsr_fer.data.synthetic.identity import Hair, Identity

_Line = tuple[tuple[float, float], ...]

_HIGH: _Line = ((0.86, -0.60), (0.50, -0.90), (0.0, -0.97))
_LOW: _Line = ((0.86, -0.45), (0.50, -0.56), (0.0, -0.60))
_BRIM: _Line = ((0.90, -0.62), (0.50, -0.70), (0.0, -0.72))
_MIRROR = np.array([-1.0, 1.0])


@dataclass(frozen=True)
class _Cut:
    """Hair before the skull, in face units; the hairline runs from the right side to the middle."""

    lift: float  # how far above the skull
    side: float  # how far out beside it
    bottom: float  # y where it ends beside the face
    hairline: _Line = _HIGH


_CUTS: dict[Hair, _Cut] = {
    "short": _Cut(0.09, 1.03, -0.22),
    "fringe": _Cut(0.10, 1.03, -0.05, _LOW),
    "parted": _Cut(0.09, 1.03, -0.22),
    "long": _Cut(0.09, 1.08, 0.35),
    "curly": _Cut(0.20, 1.14, 0.0),
    "bun": _Cut(0.09, 1.00, -0.30),
    "cap": _Cut(0.08, 1.03, -0.45, _BRIM),
}


def paint_hair(
    canvas: Canvas, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """The hair in front of the skull, or a cap."""
    if person.hair == "bald":
        return
    cut = _CUTS[person.hair]
    crown = -person.skull_height
    rim = np.array(
        [[cut.side, cut.bottom], [cut.side, -0.6], [0.72, crown + 0.12], [0.0, crown - cut.lift]]
    )
    over = smooth(_mirrored(rim))
    if person.hair == "curly":
        over = over * (1.0 + 0.035 * np.sin(np.arange(len(over)) * 2.4))[:, None]
    hairline = np.array(((cut.side - 0.10, cut.bottom), *cut.hairline))
    hairline = shifted(
        hairline, 0.0, 0.0 if person.hair == "cap" else generator.uniform(-0.05, 0.05)
    )
    under = _mirrored(hairline)
    if person.hair == "parted":
        part = generator.uniform(0.25, 0.55) * (1.0 if generator.random() < 0.5 else -1.0)
        under[3] = part, -1.02
    _paint_strands(
        canvas, np.concatenate([over, smooth(under)[::-1]]), person, pose, 1.0, generator
    )


def paint_hair_behind(
    canvas: Canvas, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """Long or curly hair beside the neck, or a bun above the head."""
    crown = -person.skull_height
    if person.hair in ("long", "curly"):
        side, reach = (1.12, 1.5) if person.hair == "long" else (1.25, 0.55)
        rim = np.array(
            [
                [side + 0.03, reach],
                [side, -0.5],
                [0.85, crown + 0.2],
                [0.45, crown - 0.07],
                [0.0, crown - 0.10],
            ]
        )
        _paint_strands(canvas, smooth(_mirrored(rim)), person, pose, 0.8, generator)
    elif person.hair == "bun":
        turn = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
        bun = 0.34 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        _paint_strands(canvas, shifted(bun, 0.0, crown - 0.12), person, pose, 0.85, generator)


def _mirrored(half: np.ndarray) -> np.ndarray:
    """A line from the right side to the middle, continued to the left side."""
    return np.concatenate([half, half[-2::-1] * _MIRROR])


def _paint_strands(
    canvas: Canvas,
    outline: np.ndarray,
    person: Identity,
    pose: Pose,
    brightness: float,
    generator: np.random.Generator,
) -> None:
    size = canvas.size
    strands = 0.5 * generator.normal(0.0, 1.0, size) + 0.4 * soft_noise(size, 12, generator)
    gloss = np.linspace(1.25, 0.85, size)[:, None] * brightness
    texture = np.clip(gloss * (1.0 + 0.16 * strands), 0.0, 1.3).astype(np.float32)
    colour = np.minimum(texture[..., None] * person.hair_colour.astype(np.float32), 1.0)
    canvas.paint(canvas.whole.fill(pose.silhouette(outline), blur=0.5), colour)


def soft_noise(size: int, cells: int, generator: np.random.Generator) -> np.ndarray:
    """Noise of about unit deviation that changes over ``size / cells`` pixels."""
    coarse = np.clip(generator.normal(128.0, 40.0, (cells, cells)), 0, 255).astype(np.uint8)
    image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    return (np.asarray(image, np.float32) - 128.0) / 40.0
