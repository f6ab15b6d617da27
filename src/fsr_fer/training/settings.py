"""Training settings, as params.yaml gives them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fsr_fer.common.settings import (
    PIXELS,
    BatchSize,
    BelowOne,
    Degrees,
    Milestones,
    NotNegativeFloat,
    NotNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
    Share,
    require,
)
from fsr_fer.models.settings import (
    DiscriminatorSettings,
    ExtractorSettings,
    GeneratorSettings,
    MetaSrSettings,
    RcanSettings,
)


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


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How train faces are augmented before they are downsampled."""

    rotation_degrees: Degrees
    flip: bool
    zoom: NotNegativeFloat
    shift_pixels: NotNegativeFloat
    hidden_share: Share


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
    """How the pretrained extractor is trained further on faces of all sizes."""

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


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """How a student imitates the mean prediction of two methods of finetune."""

    teachers: tuple[str, ...]
    temperature: PositiveFloat
    weight: PositiveFloat

    def __post_init__(self) -> None:
        require(len(self.teachers) == 2, "teachers", list(self.teachers), "two of finetune")


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
