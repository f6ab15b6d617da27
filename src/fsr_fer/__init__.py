"""Facial expression recognition for low-resolution faces.

A reproduction of FSR-FER (arXiv 2004.02234) and further methods; start with README.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsr_fer.predict.model import load
    from fsr_fer.predict.results import Prediction
    from fsr_fer.resize import imresize

__all__ = ["Prediction", "imresize", "load"]


def __getattr__(name: str) -> Any:
    # On demand: a stage that resizes nothing then does not depend on how resizing works.
    if name == "imresize":
        from fsr_fer.resize import imresize

        return imresize
    if name == "load":
        from fsr_fer.predict.model import load

        return load
    if name == "Prediction":
        from fsr_fer.predict.results import Prediction

        return Prediction
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
