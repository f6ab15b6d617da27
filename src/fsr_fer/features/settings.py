"""How features are stored, as params.yaml says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings:
    """How second-order features are stored."""

    dtype: Literal["float32", "float16"]
