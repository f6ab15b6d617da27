"""Settings of augmentation, as params.yaml gives them."""

from dataclasses import dataclass

from fsr_fer.common.settings import Degrees, NotNegativeFloat, Share


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How train faces are augmented before they are downsampled."""

    rotation_degrees: Degrees
    flip: bool
    zoom: NotNegativeFloat
    shift_pixels: NotNegativeFloat
    hidden_share: Share
