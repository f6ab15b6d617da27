"""Settings of packing, statistics, report and review, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Annotated

from fsr_fer.common.settings import FULL_SIZE, NotNegativeFloat, Range, Share, require


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """The model for use outside the pipeline: its network, sizes in pixels and limit."""

    model: str
    sizes: tuple[int, ...]
    degraded_sizes: tuple[int, ...]
    uncertain_below: Share

    def __post_init__(self) -> None:
        for key in ("sizes", "degraded_sizes"):
            pixels = list(getattr(self, key))
            in_range = all(4 <= side <= FULL_SIZE for side in pixels)
            falling = pixels == sorted(set(pixels), reverse=True)
            require(in_range and falling, key, pixels, "falling numbers from 100 to 4")
        require(len(self.sizes) >= 3, "sizes", list(self.sizes), "three sizes or more")
        degraded = list(self.degraded_sizes)
        calibrated = set(degraded) <= set(self.sizes)
        require(calibrated, "degraded_sizes", degraded, "some of sizes, where it is calibrated")


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Confidence intervals, calibration, and what the report shows."""

    confidence: Annotated[float, Range("0.5 to below 1", lambda share: 0.5 <= share < 1)]
    resamples: Annotated[int, Range("100 or more", lambda count: count >= 100)]
    calibration_bins: Annotated[int, Range("1 to 1000", lambda bins: 1 <= bins <= 1000)]
    example_faces: Annotated[int, Range("1 to 12", lambda faces: 1 <= faces <= 12)]
    references: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """How much worse a change may be: points of total accuracy. No stage reads this."""

    largest_drop_of_mean: NotNegativeFloat
    largest_drop_at_a_size: NotNegativeFloat
    only_beyond_noise: bool
