"""Reading facial expressions from faces too small for everybody else's software.

A reproduction of FSR-FER (arXiv 2004.02234) and what goes beyond it; README.md is the way in.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsr_fer.resize import imresize

__all__ = ["imresize"]


def __getattr__(name: str) -> Any:
    # On demand: a stage that resizes nothing then does not depend on how resizing works.
    if name == "imresize":
        from fsr_fer.resize import imresize

        return imresize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
