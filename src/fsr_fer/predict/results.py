"""The result for a picture: one prediction per face, or one with the reason why there is none."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Faces = Literal["auto", "crops", "detect"]
BoxForm = Literal["xywh", "xyxy"]
Status = Literal["ok", "too_small", "bad_box", "no_face", "unreadable"]
SMALLEST_FACE = 8
"""Pixels; smaller faces are not looked for: they are not found, and the search takes longer."""
DECIMALS = 6
"""Decimals of a probability, and of seconds, in files."""


class Box(NamedTuple):
    """Where a face is, in pixels of the upright picture: the top left corner, and the size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One face and its expression; if ``status`` is not ``ok``, ``message`` is the reason.

    ``input`` counts the pictures from 1. Of a video ``frame`` counts from 0 and ``seconds`` are
    those from its start. ``score``, 0 to 1, is the detector's confidence; given boxes have none.
    ``pixels`` is the side of the square crop in the original picture. ``probabilities`` are in the
    order of the classes, with ``top_k`` in descending order. ``expected_accuracy`` is the model's
    accuracy on test faces of that size, 0 to 1.
    """

    input: int
    source: str
    frame: int | None = None
    seconds: float | None = None
    status: Status = "ok"
    box: Box | None = None
    score: float | None = None
    pixels: int | None = None
    label: str | None = None
    probability: float | None = None
    uncertain: bool | None = None
    expected_accuracy: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict, hash=False)
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON; the names and the order of the columns."""
        said: dict[str, Any] = {
            name: _plain(value) if isinstance(value, float) else value
            for name, value in vars(self).items()
        }
        rounded = {name: round(p, DECIMALS) for name, p in self.probabilities.items()}
        said["probabilities"] = rounded
        if self.box:
            said["box"] = {
                k: v if math.isfinite(v) else None for k, v in self.box._asdict().items()
            }
        return said


def _plain(value: float) -> float | None:
    """Rounded; None for what JSON has no number for."""
    return round(value, DECIMALS) if math.isfinite(value) else None
