"""Sizes of the networks, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Annotated

from fsr_fer.common.settings import PositiveFloat, PositiveInt, Range, _all_positive, require


@dataclass(frozen=True, kw_only=True)
class ExtractorSettings:
    """CovPoolFER's layers."""

    widths: tuple[int, ...]
    bimap_dim: PositiveInt
    hidden_dim: PositiveInt
    embedding_dim: PositiveInt
    batch_norm_momentum: Annotated[float, Range("above 0, at most 1", lambda share: 0 < share <= 1)]

    def __post_init__(self) -> None:
        widths, dim = self.widths, self.bimap_dim
        require(len(widths) == 6, "widths", list(widths), "six numbers of filters")
        require(min(widths) > 0, "widths", list(widths), "each above 0")
        at_most = f"at most the last of widths, {widths[-1]}"
        require(dim <= widths[-1], "bimap_dim", dim, at_most)


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
