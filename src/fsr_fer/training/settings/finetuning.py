"""Settings of fine-tuning, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fsr_fer.common.settings import (
    PIXELS,
    BatchSize,
    BelowOne,
    NotNegativeFloat,
    NotNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    require,
)
from fsr_fer.training.settings.augmentation import AugmentSettings


@dataclass(frozen=True, kw_only=True)
class SizesSettings:
    """At which sizes train faces are seen."""

    full_size_share: Share
    any_size_share: Share
    smallest_pixels: Annotated[int, PIXELS]

    def __post_init__(self) -> None:
        share, most = self.any_size_share, 1 - self.full_size_share
        allowed = f"at most 1 - full_size_share, {most:g}"
        require(share + self.full_size_share <= 1, "any_size_share", share, allowed)


@dataclass(frozen=True, kw_only=True)
class DegradationsSettings:
    """How downsampled train faces are degraded; each value is the share of faces, 0 to 1."""

    other_kernel_share: Share
    jpeg_share: Share
    blur_share: Share
    noise_share: Share
    light_share: Share


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """Self-distillation: the student, on the small face, imitates the EMA on the full-size one."""

    weight: NotNegativeFloat
    temperature: PositiveFloat
    fades_at_pixels: NotNegativeInt


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How a network is trained on faces of all sizes, the pretrained extractor or another one."""

    network: str
    epochs: PositiveInt
    batch_size: BatchSize
    learning_rate: PositiveFloat
    final_learning_rate: NotNegativeFloat
    muon: NotNegativeFloat
    weight_decay: NotNegativeFloat
    label_smoothing: BelowOne
    soft_targets: bool
    class_balance: NotNegativeFloat
    ema_decay: BelowOne
    augment: AugmentSettings
    sizes: SizesSettings
    degradations: DegradationsSettings
    teacher: TeacherSettings
    validation_every: PositiveInt
    selection: Literal["total_accuracy", "mean_class_accuracy", "both"]
    precision: Literal["float32", "bfloat16"]
    repeat: NotNegativeInt

    def __post_init__(self) -> None:
        possible = self.teacher.weight == 0 or self.ema_decay > 0
        require(possible, "ema_decay", self.ema_decay, "above 0, since the EMA is the teacher")
