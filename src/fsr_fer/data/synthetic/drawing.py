"""A whole face, from a person and an expression to pixels."""

import numpy as np

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.synthetic.action_units import ActionUnits
from fsr_fer.data.synthetic.canvas import Canvas
from fsr_fer.data.synthetic.geometry import draw_pose, face_landmarks
from fsr_fer.data.synthetic.hair import paint_hair
from fsr_fer.data.synthetic.identity import Identity
from fsr_fer.data.synthetic.parts import paint_brows, paint_eyes, paint_mouth, paint_nose
from fsr_fer.data.synthetic.relief import shade_skin
from fsr_fer.data.synthetic.surroundings import (
    background,
    paint_behind,
    paint_glasses,
    paint_head,
    paint_occlusion,
    photograph,
)


def draw_face(person: Identity, units: ActionUnits, generator: np.random.Generator) -> np.ndarray:
    """Draw ``person`` making the face that ``units`` say: uint8 [100, 100, 3] RGB.

    Pose, light, background, occlusion and camera come from ``generator`` and know nothing of
    ``units``.
    """
    pose = draw_pose(generator)
    light = _draw_light(generator)
    face = face_landmarks(person, units)
    canvas = Canvas(FULL_SIZE, background(FULL_SIZE, generator))
    paint_behind(canvas, person, pose, generator)
    head = paint_head(canvas, face, person, pose, generator)
    paint_nose(canvas, face, person, pose)
    paint_mouth(canvas, face.mouth, units, person, pose)
    paint_eyes(canvas, face, person, pose, generator)
    paint_brows(canvas, face, person, pose, generator)
    shade_skin(canvas, head, face, units, person, pose, light)
    if person.glasses:
        paint_glasses(canvas, person, pose, generator)
    paint_hair(canvas, person, pose, generator)
    paint_occlusion(canvas, person, pose, generator)
    return photograph(canvas.pixels, generator)


def _draw_light(generator: np.random.Generator) -> np.ndarray:
    """A unit vector towards the light: mostly from above and in front, sometimes from a side."""
    aside = generator.normal(0.0, 0.45)
    above = generator.uniform(-0.75, -0.05)
    direction = np.array([np.clip(aside, -0.95, 0.95), above, 1.0])
    return direction / np.linalg.norm(direction)
