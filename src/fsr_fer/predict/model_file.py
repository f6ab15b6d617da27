"""A model file: ONNX, with a description of the model in its metadata.

Inputs are ``faces``, uint8 RGB [N, 100, 100, 3], and ``pixels``, float32 [N], the side of each face
in its own picture. Outputs are ``probabilities``, float32 [N, K], calibrated, and ``embedding``,
float32 [N, E]. The metadata ``fsr_fer`` is JSON: the fields of ``Card``, where ``pixels`` and
``accuracy`` lie in ``expected_accuracy``, ``temperature``, by which the graph calibrates, the
hashes of what it was trained on, and ``format``, the version of all this.
"""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import FULL_SIZE

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Card:
    """Description of a model in its file; ``accuracy`` (0 to 1) is measured at sides ``pixels``."""

    name: str
    class_names: tuple[str, ...]
    smallest_pixels: int
    uncertain_below: float
    pixels: tuple[float, ...]
    accuracy: tuple[float, ...]
    licence: str

    def expected_accuracy(self, pixels: int) -> float:
        """The model's accuracy at that size, 0 to 1: interpolated, and constant beyond the ends."""
        return float(np.interp(pixels, self.pixels, self.accuracy))


def read_model_file(file: Path) -> tuple[Card, onnxruntime.InferenceSession]:
    """A model's description, and the session that runs it on one thread.

    UserError if the file cannot be read, is damaged, or is no model of this project.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: the model cannot be read: {error.strerror}") from None
    try:
        session = session_of(content)
    except Exception as error:  # onnxruntime has a class of its own for each kind of damage
        said = str(error).strip().partition("\n")[0]
        raise UserError(f"{file} is no ONNX model, or a damaged one: {said}") from None
    try:
        text = session.get_modelmeta().custom_metadata_map.get("fsr_fer")
        if text is None:
            lacks = "is an ONNX model, but not one of fsr-fer: it lacks the metadata"
            raise UserError(f"{file} {lacks}")
        card = card_of(json.loads(text))
        _check_graph(session, card)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise UserError(f"{file} is no model that this fsr-fer can use: {error!r}") from None
    return card, session


def session_of(content: bytes) -> onnxruntime.InferenceSession:
    """A session for an ONNX model, on one thread; from bytes, so that it cannot open others."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"], enable_fallback=False
    )


def card_of(said: Any) -> Card:
    """Metadata as a Card; ValueError, TypeError or KeyError if they do not make one."""
    if said["format"] != FORMAT:
        raise ValueError(f"format is {said['format']!r}; this release reads {FORMAT}")
    names = tuple(said["class_names"])
    curve = said["expected_accuracy"]
    card = Card(
        name=str(said["name"]),
        class_names=names,
        smallest_pixels=int(said["smallest_pixels"]),
        uncertain_below=float(said["uncertain_below"]),
        pixels=tuple(map(float, curve["pixels"])),
        accuracy=tuple(map(float, curve["accuracy"])),
        licence=str(said["licence"]),
    )
    checks = {
        "class_names": len(set(names)) == len(names) > 1
        and all(isinstance(name, str) and name and name.isprintable() for name in names),
        "smallest_pixels": card.smallest_pixels > 0,
        "uncertain_below": 0 <= card.uncertain_below <= 1,
        "expected_accuracy": 0 < len(card.pixels) == len(card.accuracy)
        and all(a < b for a, b in itertools.pairwise((0.0, *card.pixels, math.inf)))
        and all(0 <= share <= 1 for share in card.accuracy),
    }
    if wrong := [key for key, right in checks.items() if not right]:
        raise ValueError(f"{wrong[0]} is {said[wrong[0]]!r}, which `fsr-fer export` never writes")
    return card


def _check_graph(session: onnxruntime.InferenceSession, card: Card) -> None:
    outputs = [one for one in session.get_outputs() if one.name == "probabilities"]
    found = {
        one.name: [one.type, *(side if isinstance(side, int) else "any" for side in one.shape)]
        for one in (*session.get_inputs(), *outputs)
    }
    expected = {
        "faces": ["tensor(uint8)", "any", FULL_SIZE, FULL_SIZE, 3],
        "pixels": ["tensor(float)", "any"],
        "probabilities": ["tensor(float)", "any", len(card.class_names)],
    }
    if found != expected:
        raise ValueError(f"inputs and outputs are {found}; expected {expected}")
