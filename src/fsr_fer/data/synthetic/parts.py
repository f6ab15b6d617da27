"""Paints eyes, brows, nose and mouth: the parts that show an expression."""

import numpy as np

from fsr_fer.data.synthetic.action_units import ActionUnits
from fsr_fer.data.synthetic.canvas import Canvas, Stroke
from fsr_fer.data.synthetic.geometry import SIDES, Landmarks, Mouth, Pose, shifted, smooth
from fsr_fer.data.synthetic.identity import Identity

WHITE = np.array([0.90, 0.88, 0.85])
BLACK = np.array([0.05, 0.04, 0.04])


def paint_eyes(
    canvas: Canvas, face: Landmarks, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """Both eyes look the same way; the way is drawn independently of the expression."""
    gaze = np.clip(generator.normal(0.0, 1.0, 2), -1.8, 1.8) * [0.035, 0.012]
    uppers = [pose.project(eye.upper_lid) for eye in face.eyes]
    lowers = [pose.project(eye.lower_lid) for eye in face.eyes]
    outlines = [np.concatenate([u, v[::-1]]) for u, v in zip(uppers, lowers, strict=True)]
    window = canvas.around(*outlines, margin=5.0)
    opening = window.fill(*outlines)
    canvas.shade(window.fill(*outlines, blur=2.2), 0.90)
    canvas.paint(opening, 0.82 * WHITE + 0.18 * person.skin)
    middles = [pose.project(eye.centre + gaze) for eye in face.eyes]
    radius = 0.098 * pose.scale
    glints = [middle - 0.3 * radius for middle in middles]
    canvas.paint(window.discs(middles, radius).inside(opening), person.iris)
    canvas.paint(window.discs(middles, 0.45 * radius).inside(opening), BLACK)
    canvas.paint(window.discs(glints, 0.24 * radius).inside(opening), WHITE)
    lid_shadows = window.strokes(
        [(shifted(upper, 0.0, 0.8), 2.2, 0.55) for upper in uppers], blur=0.5
    )
    canvas.shade(lid_shadows.inside(opening), 0.45)
    lash_colour = 0.12 * person.skin + 0.7 * BLACK
    canvas.paint(window.strokes([(upper, 1.35, 0.95) for upper in uppers]), lash_colour)
    lines: list[Stroke] = [(lower, 0.8, 0.7) for lower in lowers]
    for eye in face.eyes:
        lines.append((pose.project(shifted(eye.upper_lid[1:-1], 0.0, -0.055)), 0.9, 0.45))
    canvas.shade(window.strokes(lines, blur=0.3), 0.60)


def paint_brows(
    canvas: Canvas, face: Landmarks, person: Identity, pose: Pose, generator: np.random.Generator
) -> None:
    """Brows thicken towards the nose and are drawn as a band with a few hairs on it."""
    colour = 0.72 * person.hair_colour + 0.10 * person.skin
    if person.hair_colour.mean() > 0.45:  # fair and grey brows are darker than the hair
        colour = 0.6 * colour
    bands: list[np.ndarray] = []
    hairs: list[Stroke] = []
    for brow in face.brows:
        line = smooth(brow)
        t = np.linspace(0.0, 1.0, len(line))[:, None]
        half = person.brow_thickness * (0.55 - 0.38 * t**1.5) * [0.0, 1.0]
        bands.append(pose.project(np.concatenate([line - half, (line + half)[::-1]]), 0.03))
        for start in generator.uniform(0.0, 0.9, 4):
            root = line[int(start * (len(line) - 1))]
            hair = np.stack([root + half[0] * 0.8, root - half[0] * 0.8 + [0.03, 0.0]])
            hairs.append((pose.project(hair, 0.03), 0.7, 0.6))
    window = canvas.around(*bands)
    canvas.paint(window.fill(*bands, blur=0.35).times(0.85), colour)
    canvas.shade(window.strokes(hairs), 0.7)


def paint_nose(canvas: Canvas, face: Landmarks, person: Identity, pose: Pose) -> None:
    """Nostrils, wings and the shadow below; the ridge itself is relief."""
    tip = face.nose_tip
    below = np.stack([face.nostrils[0], shifted(tip, 0.0, 0.085), face.nostrils[1]])
    window = canvas.around(pose.project(below, 0.1), margin=7.0)
    canvas.shade(window.strokes([(pose.project(smooth(below), 0.1), 2.4, 0.5)], blur=0.8), 0.72)
    strokes = []
    for side, nostril in zip(SIDES, face.nostrils, strict=True):
        inner = nostril * [0.45, 1.0] + [0.0, 0.01]
        hole = np.stack([inner, nostril * [0.85, 1.0] + [0.0, -0.005], nostril])
        strokes.append((pose.project(smooth(hole), 0.1), 1.5, 0.75))
        wing = nostril + np.array([[0.0, -0.10], [0.055 * side, -0.04], [0.01 * side, 0.02]])
        strokes.append((pose.project(smooth(wing), 0.06), 1.0, 0.42))
    canvas.shade(window.strokes(strokes, blur=0.35), 0.30)


def paint_mouth(
    canvas: Canvas, mouth: Mouth, units: ActionUnits, person: Identity, pose: Pose
) -> None:
    """Lips as smooth curves; between them darkness, teeth and, in a wide mouth, the tongue."""
    upper_outer, upper_inner = pose.project(mouth.upper_outer), pose.project(mouth.upper_inner)
    lower_inner, lower_outer = pose.project(mouth.lower_inner), pose.project(mouth.lower_outer)
    window = canvas.around(upper_outer, lower_outer, margin=5.0)
    upper = np.concatenate([upper_outer, upper_inner[::-1]])
    lower = np.concatenate([lower_inner, lower_outer[::-1]])
    canvas.paint(window.fill(upper, blur=0.3), person.lip_colour * 0.86)
    canvas.paint(window.fill(lower, blur=0.3), person.lip_colour)
    shine = 0.5 * (lower_inner + lower_outer)[3:-3]
    canvas.paint(window.strokes([(shine, 1.0, 0.22)], blur=0.5), WHITE)
    canvas.shade(window.strokes([(shifted(lower_outer[2:-2], 0.0, 0.9), 1.5, 0.5)], blur=0.7), 0.72)
    canvas.shade(window.strokes([(upper_inner, 1.1, 0.85)]), 0.35)
    corners = [(upper_inner[:2], 1.3, 0.7), (upper_inner[-2:], 1.3, 0.7)]
    canvas.shade(window.strokes(corners, blur=0.4), 0.45)
    if mouth.opening * pose.scale > 0.5:
        _paint_inside(canvas, mouth, units, pose)


def _paint_inside(canvas: Canvas, mouth: Mouth, units: ActionUnits, pose: Pose) -> None:
    upper, lower = pose.project(mouth.upper_inner), pose.project(mouth.lower_inner)
    outline = np.concatenate([upper, lower[::-1]])
    window = canvas.around(outline)
    opening = window.fill(outline)
    canvas.paint(opening, np.array([0.22, 0.06, 0.07]))
    gap = mouth.lower_inner - mouth.upper_inner
    # Lips drawn up or aside bare the upper teeth, lips drawn down the lower ones.
    bared = 0.035 + 0.05 * max(units.lip_corner_puller, units.upper_lip_raiser)
    bared += 0.02 * units.lip_stretcher
    shown = np.minimum(gap[:, 1], bared)[:, None] * [0.0, 1.0]
    edge = pose.project(mouth.upper_inner + shown)
    canvas.paint(window.fill(np.concatenate([upper, edge[::-1]])).inside(opening), WHITE)
    shown_below = 0.05 * units.lower_lip_depressor + 0.02 * units.lip_stretcher
    edge_below = pose.project(
        mouth.lower_inner - np.minimum(gap[:, 1] * 0.45, shown_below)[:, None] * [0.0, 1.0]
    )
    teeth_below = np.concatenate([edge_below, lower[::-1]])
    canvas.paint(window.fill(teeth_below).inside(opening).times(0.85), WHITE * 0.92)
    if mouth.opening > 0.16:
        tongue = pose.project(mouth.lower_inner[4:-4].mean(axis=0) - [0.0, 0.02])
        soft = window.discs([tongue], 0.13 * pose.scale, blur=0.8).inside(opening).times(0.7)
        canvas.paint(soft, np.array([0.62, 0.27, 0.27]))
    gaps = [(np.linspace(upper[i], edge[i], 3), 0.5, 0.4) for i in range(2, len(upper) - 2)]
    canvas.shade(window.strokes(gaps).inside(opening), 0.6)
    canvas.shade(
        window.strokes([(shifted(upper, 0.0, 0.4), 1.2, 0.6)], blur=0.3).inside(opening), 0.55
    )
