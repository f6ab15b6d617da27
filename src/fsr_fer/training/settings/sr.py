"""Settings of image super-resolution, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Literal

from fsr_fer.common.settings import PositiveFloat, PositiveInt
from fsr_fer.models.settings import MetaSrSettings, RcanSettings


@dataclass(frozen=True, kw_only=True)
class SuperResolutionSettings:
    """How one image super-resolution network is trained."""

    iterations: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    learning_rate_halving: PositiveInt
    validation_every: PositiveInt
    validation_pictures: PositiveInt


@dataclass(frozen=True, kw_only=True)
class SrSettings:
    """The image super-resolution methods."""

    weights: Literal["trained", "imported"]
    retrained_from: Literal["meta_sr", "nothing"]
    rcan: RcanSettings
    meta_sr: MetaSrSettings
    rcan_training: SuperResolutionSettings
    meta_sr_training: SuperResolutionSettings
    meta_sr_retrained_training: SuperResolutionSettings
