"""Settings of pretraining, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Literal

from fsr_fer.common.settings import (
    BatchSize,
    Degrees,
    Milestones,
    NotNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Share,
)
from fsr_fer.models.settings import ExtractorSettings


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How CovPoolFER is trained on full-size faces."""

    extractor: ExtractorSettings
    epochs: PositiveInt
    batch_size: BatchSize
    learning_rate: PositiveFloat
    learning_rate_milestones: Milestones
    learning_rate_factor: PositiveFloat
    adam_epsilon: PositiveFloat
    weight_decay: NotNegativeFloat
    center_loss_weight: NotNegativeFloat
    center_rate: Share
    rotation_degrees: Degrees
    flip: bool
    soft_targets: bool
    selection: Literal["total_accuracy", "mean_class_accuracy"]
