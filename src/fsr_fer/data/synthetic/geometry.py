"""Where the parts of a face lie, given a person and their action units, and how a pose shows them.

Face units: the origin lies between the eyes' height and the nose on the middle of the face, x to
the right of the picture, y down, 1 is half the width of the face.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from fsr_fer.data.synthetic.action_units import ActionUnits
from fsr_fer.data.synthetic.identity import Identity

EYE_LEVEL = -0.12
SIDES = (-1, 1)  # left and right of the picture
MIDDLE = 7
"""Position of the middle of a lid or lip line, which has 2 * ``MIDDLE`` + 1 points."""

_T = np.linspace(-1.0, 1.0, 2 * MIDDLE + 1)  # along such a line, from one corner to the other
_ROUND = np.sqrt(1.0 - _T**2)


@dataclass(frozen=True, kw_only=True)
class Eye:
    """One eye; lids run from the inner to the outer corner (float [15, 2])."""

    centre: np.ndarray  # float [2]
    upper_lid: np.ndarray
    lower_lid: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Mouth:
    """Four lines from the left to the right corner of the picture (float [15, 2] each)."""

    upper_outer: np.ndarray
    upper_inner: np.ndarray
    lower_inner: np.ndarray
    lower_outer: np.ndarray

    @property
    def opening(self) -> float:
        """The widest gap between the lips, in face units."""
        return float((self.lower_inner - self.upper_inner)[:, 1].max())


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Every line the drawing needs, in face units; pairs are (left, right) in the picture."""

    brows: tuple[np.ndarray, np.ndarray]  # float [4, 2], inner to outer end
    eyes: tuple[Eye, Eye]
    mouth: Mouth
    nostrils: tuple[np.ndarray, np.ndarray]  # float [2]
    nose_tip: np.ndarray  # float [2]
    chin: float  # y of the lowest point
    outline: np.ndarray  # float [K, 2], closed head outline


def face_landmarks(person: Identity, units: ActionUnits) -> Landmarks:
    """Lay out a face: rest position of ``person`` moved by ``units``."""
    left, right = (_strength(person, side) for side in SIDES)
    tip = EYE_LEVEL + person.nose_length - 0.035 * units.nose_wrinkler
    lift = 0.055 * units.nose_wrinkler + 0.02 * units.upper_lip_raiser
    chin = person.chin_length + 0.19 * units.jaw_drop - 0.015 * units.chin_raiser
    width = person.nose_width * (1.0 + 0.13 * units.nose_wrinkler + 0.04 * units.lip_corner_puller)
    return Landmarks(
        brows=(_brow(person, units, -1, left), _brow(person, units, 1, right)),
        eyes=(_eye(person, units, -1, left), _eye(person, units, 1, right)),
        mouth=_mouth(person, units),
        nostrils=(
            np.array([-0.55 * width, tip + 0.05 - lift * left]),
            np.array([0.55 * width, tip + 0.05 - lift * right]),
        ),
        nose_tip=np.array([0.0, tip]),
        chin=chin,
        outline=_outline(person, chin),
    )


def _strength(person: Identity, side: int) -> float:
    return 1.0 + 0.14 * side * person.asymmetry


def _brow(person: Identity, units: ActionUnits, side: int, strength: float) -> np.ndarray:
    x = np.array([0.17, 0.33, 0.52, 0.72]) * person.eye_spacing / 0.43
    y = EYE_LEVEL - person.rest_brow_height + np.array([0.035, -0.015, -0.045, 0.02])
    y = y + person.rest_brow_slant * np.array([1.0, 0.4, -0.4, -1.0])
    y = y - 0.135 * strength * units.inner_brow_raiser * np.array([1.0, 0.62, 0.2, 0.0])
    y = y - 0.115 * strength * units.outer_brow_raiser * np.array([0.1, 0.6, 1.0, 0.85])
    lowered = strength * units.brow_lowerer
    y = y + 0.115 * lowered * np.array([1.0, 0.8, 0.35, 0.1])
    y = y + 0.05 * strength * units.nose_wrinkler * np.array([1.0, 0.6, 0.2, 0.0])
    x = x - 0.06 * lowered * np.array([1.0, 0.7, 0.3, 0.0])
    return np.stack([side * x, y], axis=1)


def _eye(person: Identity, units: ActionUnits, side: int, strength: float) -> Eye:
    upper = person.eye_height * 1.1 + strength * (
        0.060 * units.upper_lid_raiser
        - 0.026 * units.lid_tightener
        - 0.012 * units.brow_lowerer
        - 0.018 * units.cheek_raiser
        - 0.018 * units.nose_wrinkler
    )
    lower = person.eye_height * 0.72 - strength * (
        0.032 * units.lid_tightener + 0.046 * units.cheek_raiser + 0.018 * units.nose_wrinkler
    )
    # Sorrow pulls the lid up at the inner corner and lets it hang over the outer one.
    sorrow = min(units.inner_brow_raiser, 2.0 * units.brow_lowerer)
    slant = 0.16 - 0.42 * strength * sorrow
    x = side * (person.eye_spacing + person.eye_width * _T)
    y = EYE_LEVEL - person.eye_tilt * _T
    bow = _ROUND**1.35
    return Eye(
        centre=np.array([side * person.eye_spacing, EYE_LEVEL]),
        upper_lid=np.stack([x, y - max(upper, 0.02) * bow * (1.0 + slant * _T)], axis=1),
        lower_lid=np.stack([x, y + max(lower, 0.008) * bow * (1.0 + 0.2 * _T)], axis=1),
    )


def _mouth(person: Identity, units: ActionUnits) -> Mouth:
    half_width = person.mouth_width * (
        1.0
        + 0.20 * units.lip_corner_puller
        + 0.24 * units.lip_stretcher
        - 0.12 * units.jaw_drop
        - 0.10 * units.lip_tightener
        - 0.04 * units.chin_raiser
    )
    thinner = 1.0 - 0.55 * min(units.lip_tightener, 1.2) - 0.15 * units.lip_stretcher
    upper_lip = person.upper_lip * (
        thinner - 0.22 * units.lip_corner_puller - 0.1 * units.upper_lip_raiser
    )
    lower_lip = person.lower_lip * (
        thinner - 0.14 * units.lip_corner_puller + 0.25 * units.chin_raiser
    )
    side_strength = 1.0 + 0.14 * person.asymmetry * np.sign(_T)
    corner = np.abs(_T)
    line = person.rest_lip_corner * corner**2 + side_strength * (
        -0.145 * units.lip_corner_puller * corner**1.8
        + 0.115 * units.lip_corner_depressor * corner**2.6
        + 0.03 * units.lip_stretcher * corner**2
    )
    middle = 1.0 - corner**2.0
    line = line + middle * (0.02 * units.lip_corner_puller - 0.045 * units.chin_raiser)
    wide = 1.0 - corner**4
    rise = (0.075 * units.upper_lip_raiser + 0.025 * units.nose_wrinkler) * wide * side_strength
    part = 0.075 * units.lips_part
    upper_gap = rise * min(1.0, 0.35 + units.lips_part) + 0.35 * part * _ROUND
    lower_gap = (
        0.65 * part * _ROUND
        + 0.065 * units.lower_lip_depressor * wide
        + 0.30 * units.jaw_drop * _ROUND**1.2
    )
    shift = rise - upper_gap + 0.035 * units.jaw_drop  # what a lifted, closed mouth moves by
    line = person.mouth_height + line - np.maximum(shift, 0.0) * 0.6
    cupid = 1.0 - 0.22 * np.exp(-((_T / 0.16) ** 2))
    x = half_width * _T

    def at(y: np.ndarray) -> np.ndarray:
        return np.stack([x, y], axis=1)

    upper_inner, lower_inner = line - upper_gap, line + lower_gap
    return Mouth(
        upper_outer=at(upper_inner - max(upper_lip, 0.015) * _ROUND**1.3 * cupid),
        upper_inner=at(upper_inner),
        lower_inner=at(lower_inner),
        lower_outer=at(lower_inner + max(lower_lip, 0.02) * _ROUND),
    )


def _outline(person: Identity, chin: float) -> np.ndarray:
    """Closed outline: skull, temples, cheekbones, jaw, chin."""
    half = np.array(
        [
            [0.0, -person.skull_height],
            [0.45, -person.skull_height * 0.95],
            [0.82, -person.skull_height * 0.70],
            [0.96, -0.35],
            [0.98, 0.05],
            [0.93, 0.40],
            [person.jaw_width, 0.40 + (chin - 0.40) * 0.55],
            [person.jaw_width * 0.55, 0.40 + (chin - 0.40) * 0.90],
            [0.0, chin],
        ]
    )
    return smooth(np.concatenate([half, half[-2:0:-1] * [-1.0, 1.0]]), closed=True)


def smooth(points: np.ndarray, *, closed: bool = False, steps: int = 5) -> np.ndarray:
    """A Catmull-Rom curve through ``points`` (float [K, 2]), ``steps`` samples per span."""
    ends = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    padded = np.concatenate([ends[0], points, ends[1]])
    spans = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)
    curve = np.matmul(_spline_weights(steps), spans).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def shifted(points: np.ndarray, right: float, down: float) -> np.ndarray:
    """``points`` (float [..., 2]) moved."""
    return points + np.array((right, down))


@functools.lru_cache
def _spline_weights(steps: int) -> np.ndarray:
    """Weights (float [steps, 4]) of a span's two ends and their outer neighbours."""
    t = np.arange(steps) / steps
    weights = [
        -t + 2.0 * t**2 - t**3,
        2.0 - 5.0 * t**2 + 3.0 * t**3,
        t + 4.0 * t**2 - 3.0 * t**3,
        -(t**2) + t**3,
    ]
    return 0.5 * np.stack(weights, axis=1)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How the head is held: angles in radians, ``scale`` in pixels per face unit."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    centre: tuple[float, float]  # x, y of the origin in pixels

    def project(self, points: np.ndarray, depth: float = 0.0) -> np.ndarray:
        """Pixels (float [..., 2]) of points on the front of the head, ``depth`` face units out.

        The head is an ellipsoid, so a turn moves the middle of the face more than its rim.
        """
        x, y = points[..., 0], points[..., 1]
        z = 0.85 * np.sqrt(np.maximum(1.0 - (x / 1.02) ** 2 - (y / 1.42) ** 2, 0.0))
        z = z + (depth - 0.25)  # the neck, which the head turns about, lies behind its middle
        u = x * math.cos(self.yaw) + z * math.sin(self.yaw)
        z = z * math.cos(self.yaw) - x * math.sin(self.yaw)
        v = y * math.cos(self.pitch) + z * math.sin(self.pitch)
        return self._place(u, v)

    def silhouette(self, points: np.ndarray) -> np.ndarray:
        """Pixels of points on the rim of the head, which a turn leaves almost where it is."""
        return self._place(points[..., 0] + 0.12 * math.sin(self.yaw), points[..., 1])

    def _place(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        cos, sin = self.scale * math.cos(self.roll), self.scale * math.sin(self.roll)
        pixels = np.empty((*u.shape, 2))
        pixels[..., 0] = self.centre[0] + cos * u - sin * v
        pixels[..., 1] = self.centre[1] + sin * u + cos * v
        return pixels


def draw_pose(generator: np.random.Generator) -> Pose:
    """Draw how a face is held in an aligned picture: nearly upright, near the middle."""
    turn = np.clip(generator.normal(0.0, 1.0, 3), -2.0, 2.0)
    return Pose(
        yaw=float(np.radians(11.0) * turn[0]),
        pitch=float(np.radians(6.0) * turn[1]),
        roll=float(np.radians(4.0) * turn[2]),
        scale=float(generator.uniform(35.0, 41.0)),
        centre=(generator.uniform(45.5, 54.5), generator.uniform(44.5, 53.5)),
    )
