"""Facial action units (FACS) and the seven expressions made of them.

An expression is a list of muscles that move, not a picture: two faces of the same class share
neither strength nor the set of muscles that took part, and every face moves a little everywhere.
"""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ActionUnits:
    """How strongly each unit is active: 0 is at rest, 1 as strong as drawn faces usually get."""

    inner_brow_raiser: float = 0.0  # AU1
    outer_brow_raiser: float = 0.0  # AU2
    brow_lowerer: float = 0.0  # AU4
    upper_lid_raiser: float = 0.0  # AU5
    cheek_raiser: float = 0.0  # AU6
    lid_tightener: float = 0.0  # AU7
    nose_wrinkler: float = 0.0  # AU9
    upper_lip_raiser: float = 0.0  # AU10
    lip_corner_puller: float = 0.0  # AU12
    lip_corner_depressor: float = 0.0  # AU15
    lower_lip_depressor: float = 0.0  # AU16
    chin_raiser: float = 0.0  # AU17
    lip_stretcher: float = 0.0  # AU20
    lip_tightener: float = 0.0  # AU23 and AU24
    lips_part: float = 0.0  # AU25
    jaw_drop: float = 0.0  # AU26


UNIT_NAMES = tuple(field.name for field in fields(ActionUnits))


@dataclass(frozen=True)
class Movement:
    """One unit's part in an expression: how strong at full intensity, and how often it joins in."""

    unit: str
    strength: float
    chance: float = 1.0


EXPRESSIONS: dict[str, tuple[Movement, ...]] = {
    "surprise": (
        Movement("inner_brow_raiser", 1.0),
        Movement("outer_brow_raiser", 1.0),
        Movement("upper_lid_raiser", 0.7),
        Movement("lips_part", 0.7),
        Movement("jaw_drop", 0.8, 0.8),
    ),
    "fear": (
        Movement("inner_brow_raiser", 0.9),
        Movement("outer_brow_raiser", 0.55),
        Movement("brow_lowerer", 0.55),
        Movement("upper_lid_raiser", 1.0),
        Movement("lid_tightener", 0.5),
        Movement("lip_stretcher", 1.0),
        Movement("lower_lip_depressor", 0.5, 0.6),
        Movement("lips_part", 0.8),
        Movement("jaw_drop", 0.4, 0.6),
    ),
    "disgust": (
        Movement("nose_wrinkler", 1.0),
        Movement("brow_lowerer", 0.45, 0.7),
        Movement("upper_lip_raiser", 1.0),
        Movement("lid_tightener", 0.4, 0.7),
        Movement("lip_corner_depressor", 0.5, 0.8),
        Movement("lower_lip_depressor", 0.5, 0.4),
        Movement("chin_raiser", 0.6, 0.6),
        Movement("lips_part", 0.5, 0.4),
    ),
    "happiness": (
        Movement("cheek_raiser", 0.9),
        Movement("lip_corner_puller", 1.0),
        Movement("lips_part", 0.9, 0.65),
        Movement("jaw_drop", 0.25, 0.3),
    ),
    "sadness": (
        Movement("inner_brow_raiser", 1.0),
        Movement("brow_lowerer", 0.5),
        Movement("lid_tightener", 0.25, 0.5),
        Movement("lip_corner_depressor", 1.0),
        Movement("chin_raiser", 0.6, 0.7),
    ),
    "anger": (
        Movement("brow_lowerer", 1.0),
        Movement("upper_lid_raiser", 0.5, 0.7),
        Movement("lid_tightener", 0.9),
        Movement("lip_tightener", 1.0),
        Movement("chin_raiser", 0.4, 0.5),
        Movement("lips_part", 0.7, 0.3),
        Movement("lower_lip_depressor", 0.5, 0.3),
    ),
    "neutral": (),
}
"""Expressions in the order of RAF-DB's labels 1 to 7 (after Ekman and Friesen's FACS)."""

WEAKEST = 0.6
"""Intensity of the subtlest faces, relative to the strongest."""

RESTLESSNESS = 0.035
"""Standard deviation of each unit's random activity in every face, neutral ones included."""

SPEAKING = 0.25
"""Share of faces that are speaking: their lips part whatever the expression."""


def draw_action_units(
    expression: str, gains: np.ndarray, generator: np.random.Generator
) -> ActionUnits:
    """Draw one face's action units for a name of ``EXPRESSIONS``.

    ``gains`` (float [16], order of ``UNIT_NAMES``) says how much this person uses each unit. Some
    faces are subtle: intensity runs from ``WEAKEST`` to 1.
    """
    # Everything is drawn whatever the expression, so nothing else of the face depends on it.
    intensity = WEAKEST + (1.0 - WEAKEST) * generator.beta(1.3, 1.2)
    spread = np.exp(generator.normal(0.0, 0.14, len(UNIT_NAMES)))
    joins = generator.random(len(UNIT_NAMES))
    values = np.abs(generator.normal(0.0, RESTLESSNESS, len(UNIT_NAMES)))
    if generator.random() < SPEAKING:  # an open mouth alone means nothing
        values[UNIT_NAMES.index("lips_part")] += generator.uniform(0.2, 0.7)
        values[UNIT_NAMES.index("jaw_drop")] += generator.uniform(0.0, 0.35)
    for movement in EXPRESSIONS[expression]:
        position = UNIT_NAMES.index(movement.unit)
        if joins[position] < movement.chance:
            values[position] += intensity * movement.strength * gains[position] * spread[position]
    values = np.clip(values, 0.0, 1.3)
    return ActionUnits(**dict(zip(UNIT_NAMES, values.tolist(), strict=True)))
