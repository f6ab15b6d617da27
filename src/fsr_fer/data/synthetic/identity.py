"""Who is drawn: everything about a person that stays when the expression changes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fsr_fer.data.synthetic.action_units import UNIT_NAMES

Hair = Literal["bald", "short", "fringe", "parted", "long", "curly", "bun", "cap"]
Beard = Literal["none", "stubble", "moustache", "full"]

HAIR: tuple[Hair, ...] = ("bald", "short", "fringe", "parted", "long", "curly", "bun", "cap")
HAIR_ODDS = (0.07, 0.24, 0.14, 0.17, 0.15, 0.10, 0.08, 0.05)
BEARDS: tuple[Beard, ...] = ("none", "stubble", "moustache", "full")
BEARD_ODDS = (0.72, 0.14, 0.06, 0.08)

# sRGB anchors in [0, 1], from light to dark; a person lies anywhere between two neighbours.
SKIN_TONES = np.array(
    [
        [0.96, 0.83, 0.75],
        [0.91, 0.74, 0.63],
        [0.83, 0.64, 0.50],
        [0.70, 0.50, 0.37],
        [0.53, 0.36, 0.26],
        [0.38, 0.26, 0.19],
    ]
)
HAIR_TONES = np.array(
    [
        [0.09, 0.07, 0.07],
        [0.17, 0.11, 0.08],
        [0.31, 0.20, 0.12],
        [0.50, 0.33, 0.18],
        [0.74, 0.58, 0.36],
        [0.46, 0.20, 0.10],
        [0.62, 0.61, 0.60],
    ]
)
IRIS_TONES = np.array(
    [[0.20, 0.12, 0.07], [0.33, 0.20, 0.10], [0.36, 0.34, 0.18], [0.30, 0.42, 0.52]]
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A person. Lengths are in face units (1 is half the width of the face); colours sRGB [0, 1].

    Offsets and factors named ``rest_`` say how the face lies at rest, so that one person's neutral
    may look a little like another's frown.
    """

    skin: np.ndarray  # float [3]
    hair_colour: np.ndarray  # float [3]
    iris: np.ndarray  # float [3]
    lip_colour: np.ndarray  # float [3]
    hair: Hair
    beard: Beard
    glasses: bool
    age: float  # 0 smooth to 1 wrinkled
    jaw_width: float
    chin_length: float
    skull_height: float
    eye_spacing: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    brow_thickness: float
    rest_brow_height: float
    rest_brow_slant: float
    nose_width: float
    nose_length: float
    mouth_width: float
    mouth_height: float
    upper_lip: float
    lower_lip: float
    rest_lip_corner: float
    asymmetry: float  # -1 to 1: which half moves more
    gains: np.ndarray  # float [16], how much each action unit is used


def draw_identity(generator: np.random.Generator) -> Identity:
    """Draw a person."""

    def normal(mean: float, deviation: float) -> float:
        return float(mean + deviation * np.clip(generator.normal(), -2.2, 2.2))

    skin = _between(SKIN_TONES, generator) * generator.uniform(0.96, 1.04, 3)
    lipstick = generator.random() < 0.2
    red = np.array([0.70, 0.16, 0.20]) if lipstick else np.array([0.62, 0.26, 0.25])
    lip_colour = skin + (red - skin) * generator.uniform(0.3, 0.5) * (1.6 if lipstick else 1.0)
    return Identity(
        skin=np.clip(skin, 0.0, 1.0),
        hair_colour=np.clip(
            HAIR_TONES[generator.integers(len(HAIR_TONES))] * generator.uniform(0.8, 1.25), 0, 1
        ),
        iris=IRIS_TONES[generator.integers(len(IRIS_TONES))] * generator.uniform(0.8, 1.2),
        lip_colour=np.clip(lip_colour * generator.uniform(0.85, 1.0), 0.0, 1.0),
        hair=HAIR[generator.choice(len(HAIR), p=HAIR_ODDS)],
        beard=BEARDS[generator.choice(len(BEARDS), p=BEARD_ODDS)],
        glasses=bool(generator.random() < 0.16),
        age=float(generator.beta(1.2, 2.0)),
        jaw_width=normal(0.76, 0.06),
        chin_length=normal(1.20, 0.07),
        skull_height=normal(1.26, 0.05),
        eye_spacing=normal(0.43, 0.022),
        eye_width=normal(0.22, 0.014),
        eye_height=normal(0.090, 0.009),
        eye_tilt=normal(0.02, 0.022),
        brow_thickness=normal(0.075, 0.016),
        rest_brow_height=normal(0.31, 0.02),
        rest_brow_slant=normal(0.0, 0.022),
        nose_width=normal(0.20, 0.025),
        nose_length=normal(0.50, 0.035),
        mouth_width=normal(0.385, 0.025),
        mouth_height=normal(0.74, 0.035),
        upper_lip=normal(0.070, 0.015),
        lower_lip=normal(0.095, 0.017),
        rest_lip_corner=normal(0.0, 0.013),
        asymmetry=normal(0.0, 0.4),
        gains=np.exp(generator.normal(0.0, 0.12, len(UNIT_NAMES))),
    )


def _between(tones: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    position = generator.uniform(0, len(tones) - 1)
    lower = int(position)
    return tones[lower] + (position - lower) * (tones[lower + 1] - tones[lower])
