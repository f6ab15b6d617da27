"""Paints what is independent of the expression: background, clothes, glasses, hands, camera."""

import numpy as np
from PIL import Image

from fsr_fer.data.synthetic.canvas import Canvas, Mask
from fsr_fer.data.synthetic.geometry import EYE_LEVEL, SIDES, Landmarks, Pose, shifted, smooth
from fsr_fer.data.synthetic.hair import paint_hair_behind, soft_noise
from fsr_fer.data.synthetic.identity import Identity

COARSEST = 0.12
"""Detail of the coarsest pictures as a share of the full size, like that of a face at x8."""

SOFTNESS = 0.85
"""How fast pictures with less detail get rare: detail falls as exp(-SOFTNESS * |normal|)."""

_CIRCLE = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 25)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 25)[:-1])], axis=1
)


def background(size: int, generator: np.random.Generator) -> np.ndarray:
    """A room out of focus: a slope of colour with a few blurred blocks, float [size, size, 3]."""
    small = np.empty((5, 5, 3))
    small[:] = generator.uniform(0.08, 0.85) + generator.uniform(-0.12, 0.12, 3)
    small += np.linspace(-0.5, 0.5, 5)[:, None, None] * generator.uniform(-0.4, 0.4)
    small += generator.normal(0.0, 0.09, (5, 5, 1)) + generator.normal(0.0, 0.03, (5, 5, 3))
    image = Image.fromarray((np.clip(small, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), np.float32) / 255


def paint_behind(
    canvas: Canvas, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """Hair behind the head, neck, clothes and ears."""
    cloth = generator.uniform(0.05, 0.85, 3)
    paint_hair_behind(canvas, person, pose, generator)
    neck = np.array([[-0.5, 0.7], [0.5, 0.7], [0.56, 1.7], [-0.56, 1.7]])
    outline = pose.silhouette(neck)
    canvas.paint(canvas.around(outline).fill(outline), person.skin * 0.62)
    shirt = np.array([[-1.9, 1.65], [-0.6, 1.36], [0.0, 1.52], [0.6, 1.36], [1.9, 1.65]])
    outline = pose.silhouette(np.concatenate([smooth(shirt), [[1.9, 2.5], [-1.9, 2.5]]]))
    canvas.paint(canvas.around(outline).fill(outline, blur=0.4), cloth)
    for side in SIDES:
        ear = pose.silhouette(_CIRCLE * [0.12, 0.22] + [side * 1.02, 0.04])
        window = canvas.around(ear)
        canvas.paint(window.fill(ear), person.skin * 0.80)
        fold = pose.silhouette(_CIRCLE[4:16] * [0.05, 0.12] + [side * 1.05, 0.03])
        canvas.shade(window.strokes([(fold, 1.1, 0.5)]), 0.6)


def paint_head(
    canvas: Canvas, face: Landmarks, person: Identity, pose: Pose, generator: np.random.Generator
) -> Mask:
    """Bare skin with its blush, blotches and beard; light comes later. The result covers it."""
    outline = pose.silhouette(face.outline)
    head = canvas.whole.fill(outline)
    blotches = soft_noise(canvas.size, 6, generator) * 0.03 + 1.0
    canvas.paint(head, person.skin * blotches[..., None])
    for side in SIDES:
        cheek = pose.project(np.array([side * 0.58, 0.32]))
        blush = canvas.around(cheek, margin=14.0).discs([cheek], 5.0, blur=3.0)
        canvas.shade(blush.times(0.5), np.array([1.0, 0.86, 0.85]))
    if person.beard != "none":
        _paint_beard(canvas, head, face, person, pose, generator)
    return head


def _paint_beard(
    canvas: Canvas,
    head: Mask,
    face: Landmarks,
    person: Identity,
    pose: Pose,
    generator: np.random.Generator,
) -> None:
    colour = 0.8 * person.hair_colour + 0.05
    strength = {"stubble": 0.28, "moustache": 0.0, "full": 0.72}[person.beard]
    side = np.array([[0.97, 0.15], [0.80, 0.42], [0.50, 0.52], [0.42, 0.58]])
    edge = smooth(np.concatenate([side, [[0.0, 0.53]], (side * [-1, 1])[::-1]]))
    below = pose.project(np.concatenate([edge, [[-1.0, 1.6], [1.0, 1.6]]]))
    grain = np.clip(0.9 + 0.25 * generator.standard_normal(head.coverage.shape), 0.0, 1.2)
    cover = canvas.whole.fill(below, blur=1.8).inside(head)
    canvas.paint(Mask(0, 0, (cover.coverage * strength * grain).astype(np.float32)), colour)
    if person.beard != "stubble":
        lip = face.mouth.upper_outer
        moustache = np.concatenate([lip * [1.02, 1.0] + [0, 0.015], (lip - [0, 0.11])[::-1]])
        outline = pose.project(moustache)
        canvas.paint(canvas.around(outline).fill(outline, blur=0.7).times(0.75), colour)


def paint_glasses(
    canvas: Canvas, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """Thin frames that leave the eyes visible."""
    colour = np.array([0.10, 0.09, 0.09]) if generator.random() < 0.7 else np.array([0.5, 0.4, 0.3])
    width, height = generator.uniform(0.27, 0.31), generator.uniform(0.19, 0.24)
    strokes = []
    rings = []
    for side in SIDES:
        ring = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** 0.75 * [width, height]  # a rounded square
        ring = pose.project(shifted(ring, side * person.eye_spacing * 1.02, EYE_LEVEL + 0.03), 0.08)
        hole = (ring - ring.mean(axis=0)) * 0.90 + ring.mean(axis=0)
        rings.append((ring, hole))
        rim = person.eye_spacing + width
        temple = np.array([[side * rim, EYE_LEVEL], [side * 1.0, EYE_LEVEL - 0.04]])
        strokes.append((pose.project(np.linspace(temple[0], temple[1], 4)), 1.2, 1.0))
    gap = person.eye_spacing - width
    bridge = np.array([[-gap, EYE_LEVEL], [0.0, EYE_LEVEL - 0.03], [gap, EYE_LEVEL]])
    strokes.append((pose.project(smooth(bridge), 0.1), 1.2, 1.0))
    canvas.paint(canvas.whole.strokes(strokes), colour)
    for ring, hole in rings:
        window = canvas.around(ring)
        canvas.paint(window.fill(ring).outside(window.fill(hole)), colour)


def paint_occlusion(
    canvas: Canvas, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """Sometimes a hand on the cheek, a scarf over the chin or a strand of hair before the brow."""
    kind = generator.random()
    side = 1 if generator.random() < 0.5 else -1
    if kind < 0.05:
        _paint_hand(canvas, person, pose, side)
    elif kind < 0.10:
        _paint_scarf(canvas, pose, generator)
    elif kind < 0.17 and person.hair not in ("bald", "cap"):
        _paint_lock(canvas, person, pose, side)


def _paint_hand(canvas: Canvas, person: Identity, pose: Pose, side: int) -> None:
    for finger in range(4):
        base = np.array([side * (1.05 - 0.13 * finger), 1.35 - 0.03 * finger])
        tip = np.array([side * (0.92 - 0.12 * finger), 0.62 + 0.10 * finger])
        line = pose.silhouette(np.linspace(base, tip, 6))
        window = canvas.around(line, margin=6.0)
        canvas.paint(window.strokes([(line, 6.5, 1.0)], blur=0.3), person.skin * 0.80)
        canvas.shade(window.strokes([(shifted(line, 2.4, 0.0), 1.0, 0.6)], blur=0.4), 0.6)


def _paint_scarf(canvas: Canvas, pose: Pose, generator: np.random.Generator) -> None:
    colour = generator.uniform(0.1, 0.85, 3)
    edge = np.array([[-1.2, 0.85], [-0.5, 1.10], [0.0, 1.16], [0.5, 1.10], [1.2, 0.85]])
    outline = pose.silhouette(np.concatenate([smooth(edge), [[1.5, 2.4], [-1.5, 2.4]]]))
    mask = canvas.around(outline).fill(outline, blur=0.4)
    height, width = mask.coverage.shape
    stripes = 1.0 + 0.12 * np.sin(np.arange(height) * generator.uniform(0.4, 1.2))
    canvas.paint(mask, colour * stripes[:, None, None] * np.ones((1, width, 1)))


def _paint_lock(canvas: Canvas, person: Identity, pose: Pose, side: int) -> None:
    strands = []
    for strand in range(3):
        x = side * (0.55 + 0.12 * strand)
        curve = np.array([[x - side * 0.25, -1.0], [x, -0.55], [x + side * 0.14, 0.15]])
        strands.append((pose.project(smooth(curve), 0.08), 2.2, 0.95))
    canvas.paint(canvas.whole.strokes(strands, blur=0.3), person.hair_colour)


def photograph(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """What a camera makes of it: white balance, exposure, contrast, sharpness, noise; uint8.

    Faces of real data sets were cut from pictures of every quality and resized, so the resolution
    of the drawn ones also varies, from ``COARSEST`` to full.
    """
    exposure = np.exp(generator.normal(0.0, 0.13))
    balance = np.exp(generator.normal(0.0, 0.035, 3)) * exposure
    contrast = np.exp(generator.normal(0.0, 0.10))
    seen = (pixels * balance.astype(np.float32) - 0.45) * np.float32(contrast) + 0.45
    size = len(pixels)
    detail = round(size * max(np.exp(-SOFTNESS * abs(generator.normal())), COARSEST))
    image = Image.fromarray((np.clip(seen, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    image = image.resize((detail, detail), Image.Resampling.BICUBIC)
    noise = generator.standard_normal((detail, detail, 3), np.float32)
    noise *= np.float32(generator.uniform(0.5, 3.5))
    grainy = np.clip(np.asarray(image, np.float32) + noise + 0.5, 0.0, 255.0).astype(np.uint8)
    image = Image.fromarray(grainy).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)
