"""What reading a picture gives: one prediction a face, or one row that says why there is none."""

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
    """One face and its expression; where ``status`` is not ``ok``, ``message`` says what is wrong.

    ``input`` counts the pictures from 1. Of a video ``frame`` counts from 0 and ``seconds`` are
    those from its start. ``score``, 0 to 1, is how sure the detector is of a face that it found;
    nobody else's boxes have one. ``pixels`` is the side of the square that was read, in its own
    picture. ``probabilities`` are ordered by class, or by size where ``top_k`` was asked for.
    ``expected_accuracy`` is the share of faces of that size that the model reads right.
    """

    input: int
    source: str
    frame: int | None = None
    seconds: float | None = None
    status: Status = "ok"
    message: str = ""
    box: Box | None = None
    score: float | None = None
    pixels: int | None = None
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    expected_accuracy: float | None = None
    uncertain: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON; the names and the order of the columns."""
        finite = self.box and [v if math.isfinite(v) else None for v in self.box]
        return {
            "input": self.input,
            "source": self.source,
            "frame": self.frame,
            "seconds": _rounded(self.seconds),
            "status": self.status,
            "box": dict(zip(Box._fields, finite, strict=True)) if finite else None,
            "score": _rounded(self.score),
            "pixels": self.pixels,
            "label": self.label,
            "probability": _rounded(self.probability),
            "uncertain": self.uncertain,
            "expected_accuracy": _rounded(self.expected_accuracy),
            "probabilities": {name: _rounded(p) for name, p in self.probabilities.items()},
            "message": self.message,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
