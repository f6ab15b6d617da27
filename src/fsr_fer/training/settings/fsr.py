"""Settings of generator and discriminator, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fsr_fer.common.settings import (
    BelowOne,
    Milestones,
    NotNegativeFloat,
    NotNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
    require,
)
from fsr_fer.models.settings import DiscriminatorSettings, GeneratorSettings


@dataclass(frozen=True, kw_only=True)
class FsrSettings:
    """How generator and discriminator are trained."""

    generator: GeneratorSettings
    discriminator: DiscriminatorSettings
    iterations: PositiveInt
    l2_iterations: NotNegativeInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    learning_rate_milestones: Milestones
    learning_rate_factor: PositiveFloat
    l2_learning_rate: PositiveFloat
    l2_decay_iterations: PositiveInt
    beta1: BelowOne
    beta2: BelowOne
    discriminator_steps: PositiveInt
    validation_every: PositiveInt
    precision: Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Equations 7 to 10: weights and reductions of the terms."""

    gan_weight: NotNegativeFloat
    perceptual_weight: NotNegativeFloat
    feature_l2_weight: NotNegativeFloat
    feature_l2_reduction: Literal["sum", "mean"]
    penalty_k: NotNegativeFloat
    penalty_p: Annotated[float, Range("2 or more", lambda p: p >= 2)]

    def __post_init__(self) -> None:
        total = self.gan_weight + self.perceptual_weight + self.feature_l2_weight
        require(total > 0, "gan_weight", self.gan_weight, "above 0 where the other weights are 0")


@dataclass(frozen=True, kw_only=True)
class ReweightSettings:
    """Equation 11: w_i = (sigma - p_i) ** r."""

    sigma: Annotated[float, Range("above 1", lambda sigma: sigma > 1)]
    r: Annotated[float, Range("1 or more", lambda r: r >= 1)]
    probability_from: Literal["sr", "lr"]
    detach: bool
    discriminator: bool


@dataclass(frozen=True, kw_only=True)
class FsrVariantSettings:
    """Losses and re-weighting of one of ``fsr_variants``."""

    losses: LossSettings
    reweight: ReweightSettings | None
