"""The interface of face detectors, for the shipped one and your own."""

from typing import NamedTuple, Protocol

import numpy as np

from fsr_fer.predict.results import Box

LARGE_PICTURE = 2_000_000
"""Pixels; a larger picture takes seconds, and faces of 10 pixels in it are seldom meant."""


class Detection(NamedTuple):
    """A detected face: its box in pixels, and the detector's confidence, 0 to 1."""

    box: Box
    score: float


class Detector(Protocol):
    """Finds faces. Several threads share one, so ``detect`` may not change it."""

    def detect(self, rgb: np.ndarray, min_face: int) -> list[Detection]:
        """The faces of a picture, uint8 RGB [H, W, 3], highest score first; the same on every run.

        Faces of fewer than ``min_face`` pixels need not be found.
        """
        ...


def default_min_face(width: int, height: int) -> int:
    return 10 if height * width <= LARGE_PICTURE else 20
