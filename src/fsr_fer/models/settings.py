"""Sizes of the networks, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fsr_fer.common.settings import (
    PIXELS,
    Milestones,
    PositiveFloat,
    PositiveInt,
    Range,
    _all_positive,
    require,
)


@dataclass(frozen=True, kw_only=True)
class ExtractorSettings:
    """CovPoolFER's layers, and those of a smaller network in their place."""

    input_pixels: Annotated[int, PIXELS]
    grey: bool
    widths: Annotated[tuple[int, ...], Range("one number above 0 per convolution", _all_positive)]
    pool_after: Milestones
    residual: bool
    pooling: Literal["covariance", "mean"]
    bimap_dim: PositiveInt
    hidden_dim: PositiveInt
    embedding_dim: PositiveInt
    batch_norm_momentum: Annotated[float, Range("above 0, at most 1", lambda share: 0 < share <= 1)]

    def __post_init__(self) -> None:
        widths, dim, pools = self.widths, self.bimap_dim, self.pool_after
        last = pools[-1] if pools else 0
        require(last <= len(widths), "pool_after", list(pools), f"at most {len(widths)}")
        left = self.input_pixels >> len(pools)
        require(left >= 2, "pool_after", list(pools), "halvings that leave 2 pixels of the input")
        if self.pooling == "covariance":
            at_most = f"at most the last of widths, {widths[-1]}"
            require(dim <= widths[-1], "bimap_dim", dim, at_most)
        else:
            square = f"bimap_dim squared, {dim**2}, as the last: the means are the features"
            require(widths[-1] == dim**2, "widths", list(widths), square)


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """The generator: RRDB blocks at constant size (paper, section 3.4)."""

    filters: PositiveInt
    growth: PositiveInt
    blocks: PositiveInt
    channel_affine: bool
    tail_kernel: PositiveInt
    long_skip: bool
    init_scale: PositiveFloat


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSettings:
    """The discriminator: ESRGAN's without batch normalisation."""

    filters: Annotated[tuple[int, ...], Range("one number above 0 per halving", _all_positive)]
    bias: bool
    hidden_dim: PositiveInt


@dataclass(frozen=True, kw_only=True)
class RcanSettings:
    """RCAN's size."""

    groups: PositiveInt
    blocks: PositiveInt
    filters: PositiveInt
    reduction: PositiveInt

    def __post_init__(self) -> None:
        divides = self.filters % self.reduction == 0
        require(divides, "reduction", self.reduction, f"a divisor of filters, {self.filters}")


@dataclass(frozen=True, kw_only=True)
class MetaSrSettings:
    """Meta-SR's size."""

    filters: PositiveInt
    growth: PositiveInt
    blocks: PositiveInt
    layers: PositiveInt
    hidden: PositiveInt
