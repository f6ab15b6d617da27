"""The lie of the skin: bumps, folds and wrinkles, and how light falls on them."""

import math

import numpy as np

from fsr_fer.data.synthetic.action_units import ActionUnits
from fsr_fer.data.synthetic.canvas import Canvas, Mask, Stroke
from fsr_fer.data.synthetic.geometry import (
    EYE_LEVEL,
    MIDDLE,
    SIDES,
    Landmarks,
    Pose,
    shifted,
    smooth,
)
from fsr_fer.data.synthetic.identity import Identity


def shade_skin(
    canvas: Canvas,
    head: Mask,
    face: Landmarks,
    units: ActionUnits,
    person: Identity,
    pose: Pose,
    light: np.ndarray,
) -> None:
    """Light the head from ``light`` (unit vector, z towards the viewer).

    ``head`` is a mask of the whole canvas. Folds are darker than the slope alone makes them, since
    less of the room's light reaches into them.
    """
    wide, fine = _folds(face, units, person)
    folds = canvas.whole.strokes(_placed(wide, pose), blur=1.3).coverage
    wrinkles = canvas.whole.strokes(_placed(fine, pose), blur=0.65).coverage
    height = _bumps(canvas.size, face, units, person, pose) - 0.055 * folds - 0.022 * wrinkles
    slope_y, slope_x = np.gradient(height * np.float32(pose.scale))
    round_x, round_y = _roundness(canvas.size, pose)
    x, y = round_x - slope_x, round_y - slope_y
    facing = (x * light[0] + y * light[1] + light[2]) / np.sqrt(1.0 + x * x + y * y)
    lit = 0.42 + 0.66 * np.clip(facing, 0.0, None)
    lit *= (1.0 - 0.26 * folds) * (1.0 - 0.36 * wrinkles)
    canvas.shade(head, lit)


def _roundness(size: int, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """How far the skull alone leans to x and y at each pixel (its surface normal over z)."""
    grid = np.arange(size, dtype=np.float32) + np.float32(0.5)
    x = (grid[None, :] - pose.centre[0]) / pose.scale
    y = (grid[:, None] - pose.centre[1]) / pose.scale
    x = x - 0.12 * math.sin(pose.yaw)
    depth = np.sqrt(np.clip(1.0 - (x / 1.12) ** 2 - (y / 1.55) ** 2, 0.12, None))
    return (0.62 * x / depth).astype(np.float32), (0.30 * y / depth).astype(np.float32)


def _bumps(
    size: int, face: Landmarks, units: ActionUnits, person: Identity, pose: Pose
) -> np.ndarray:
    """Soft relief in face units (float32 [size, size]): rows are x, y, width, height, amount."""
    tip = face.nose_tip[1]
    nose = person.nose_width
    mouth = face.mouth
    corners = mouth.upper_inner[[0, -1]]
    below = mouth.lower_outer[:, 1].max()
    rows = [
        [0.0, tip - 0.34, 0.065, 0.20, 0.08],
        [0.0, tip - 0.04, 0.55 * nose, 0.085, 0.20],
        [0.0, face.chin - 0.17, 0.20, 0.12, 0.10 + 0.05 * units.chin_raiser],
        [0.0, below + 0.07, 0.20, 0.05, -0.05],
        [0.0, 0.5 * (tip + mouth.upper_outer[MIDDLE, 1]) + 0.03, 0.035, 0.06, -0.02],
        [0.0, mouth.upper_outer[MIDDLE, 1], 0.22, 0.07, 0.03],
    ]
    for side, corner in zip(SIDES, corners, strict=True):
        eye_x = side * person.eye_spacing
        lifted = 0.09 * units.cheek_raiser + 0.05 * units.lip_corner_puller
        cheek = 0.06 + 0.07 * units.cheek_raiser + 0.05 * units.lip_corner_puller
        rows += [
            [side * 0.55 * nose, tip + 0.01, 0.055, 0.06, 0.07],
            [eye_x, EYE_LEVEL, 0.19, 0.12, -0.07],
            [side * 0.40, EYE_LEVEL - 0.25, 0.26, 0.07, 0.045],
            [side * 0.55, 0.30 - lifted, 0.20, 0.16, cheek],
            [eye_x, EYE_LEVEL + 0.15, 0.13, 0.035, 0.012 + 0.022 * units.lid_tightener],
            [corner[0], corner[1], 0.06, 0.06, -0.025],
        ]
    table = np.array(rows, np.float32)
    centres = pose.project(table[:, :2]).astype(np.float32)
    grid = np.arange(size, dtype=np.float32) + np.float32(0.5)
    across = (grid[None, :] - centres[:, :1]) / (pose.scale * table[:, 2:3])
    down = (grid[None, :] - centres[:, 1:]) / (pose.scale * table[:, 3:4])
    # A roll of a few degrees hardly turns a soft bump, so each stays a product of two lines.
    return (np.exp(-0.5 * down**2) * table[:, 4:]).T @ np.exp(-0.5 * across**2)


def _folds(
    face: Landmarks, units: ActionUnits, person: Identity
) -> tuple[list[Stroke], list[Stroke]]:
    """Wide folds and fine wrinkles in face units: (line, width, depth in [0, 1])."""
    wide: list[Stroke] = []
    fine: list[Stroke] = []
    mouth = face.mouth
    pulled = max(units.lip_corner_puller, 0.9 * units.upper_lip_raiser, 0.6 * units.nose_wrinkler)
    for side, nostril, corner in zip(SIDES, face.nostrils, mouth.upper_inner[[0, -1]], strict=True):
        start = shifted(nostril, side * 0.06, -0.06)
        end = shifted(corner, side * 0.10, 0.06 - 0.05 * units.upper_lip_raiser)
        bulge = side * 0.07 * (1.0 + units.lip_corner_puller)
        middle = shifted(0.5 * (start + end), bulge, 0.0)
        depth = 0.12 + 0.35 * person.age + 0.55 * pulled
        wide.append((smooth(np.stack([start, middle, end])), 0.055, depth))
        droop = 0.15 * person.age + 0.75 * units.lip_corner_depressor
        line = corner + np.array([[0.0, 0.0], [0.03 * side, 0.07], [0.035 * side, 0.16]])
        wide.append((smooth(line), 0.045, droop))
    for line, depth in _upper_wrinkles(face, units, person) + _lower_wrinkles(face, units):
        if depth > 0.04:
            fine.append((line, 0.042, depth))
    return wide, fine


def _upper_wrinkles(
    face: Landmarks, units: ActionUnits, person: Identity
) -> list[tuple[np.ndarray, float]]:
    """Forehead, between the brows, around the eyes, across the nose."""
    lines = []
    inner, outer = units.inner_brow_raiser, units.outer_brow_raiser
    x = np.linspace(-1.0, 1.0, 11)
    for row, y in enumerate((-0.62, -0.74, -0.86)):
        across = 0.30 + 0.30 * min(outer, 1.0)
        bend = -0.05 * x**2 * (inner - outer) + 0.012 * np.cos(5.0 * x + row)
        depth = 0.22 * person.age + 0.8 * max(0.75 * inner, outer) * (1.0, 0.9, 0.5)[row]
        lines.append((np.stack([across * x, y - bend], axis=1), depth - 0.1))
    between = 0.12 * person.age + 0.95 * units.brow_lowerer
    top = face.brows[0][0, 1]
    for side in SIDES:
        frown = np.array([[0.06, top - 0.10], [0.05, top], [0.075, top + 0.11]]) * [side, 1.0]
        lines.append((smooth(frown), between))
        for step in range(3):
            across_nose = np.array([[0.05, 0.0], [0.11, 0.0], [0.18, 0.045]])
            across_nose = shifted(across_nose, 0.0, EYE_LEVEL + 0.03 + 0.075 * step)
            lines.append((smooth(across_nose * [side, 1.0]), 0.95 * units.nose_wrinkler))
        eye_end = person.eye_spacing + person.eye_width
        crow = 0.15 * person.age + 0.8 * units.cheek_raiser
        for slope in (-0.07, 0.01, 0.09):
            ray = np.array([[0.05, 0.4 * slope], [0.12, 0.85 * slope], [0.19, 1.3 * slope]])
            lines.append((shifted(ray, eye_end, EYE_LEVEL) * [side, 1.0], crow))
    bridge = np.array([[-0.07, EYE_LEVEL - 0.02], [0.0, EYE_LEVEL], [0.07, EYE_LEVEL - 0.02]])
    lines.append((smooth(bridge), 0.9 * units.nose_wrinkler))
    for eye in face.eyes:
        bag = shifted(eye.lower_lid[2:-2], 0.0, 0.065)
        depth = 0.25 * person.age + 0.6 * max(units.lid_tightener, units.cheek_raiser)
        lines.append((bag, depth))
    return lines


def _lower_wrinkles(face: Landmarks, units: ActionUnits) -> list[tuple[np.ndarray, float]]:
    """Dimpled chin, pressed lips and stretched corners."""
    lines = []
    y = face.chin - 0.21
    for dx, dy in ((-0.10, 0.0), (0.0, -0.045), (0.10, 0.0), (-0.05, 0.06), (0.05, 0.06)):
        dimple = np.array([[dx - 0.035, y + dy], [dx, y + dy - 0.02], [dx + 0.035, y + dy]])
        lines.append((smooth(dimple), 0.75 * units.chin_raiser))
    for side, corner in zip(SIDES, face.mouth.upper_inner[[0, -1]], strict=True):
        bracket = np.array([[0.05, -0.07], [0.075, 0.0], [0.05, 0.08]]) * [side, 1.0]
        depth = 0.7 * max(units.lip_stretcher, 0.5 * units.lip_tightener)
        lines.append((smooth(corner + bracket), depth))
    return lines


def _placed(strokes: list[Stroke], pose: Pose) -> list[Stroke]:
    return [(pose.project(line), width * pose.scale, depth) for line, width, depth in strokes]
