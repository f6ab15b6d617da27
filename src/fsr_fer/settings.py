"""What params.yaml may say: one frozen dataclass per section, checked before anything starts.

Only types, ranges and the meaning of each field live here; values live in params.yaml. The module
needs nothing but the standard library, so the training code can be used without any YAML.
"""

from __future__ import annotations

import itertools
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from fsr_fer.errors import UserError

T = TypeVar("T")

MINIMUM_LR_PIXELS = 4
FULL_SIZE = 100


class SettingsError(UserError):
    """A value in params.yaml that cannot be: names the key, the value and what is allowed."""


def _require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise SettingsError(f"{key} is {value!r}; allowed: {allowed}")


def _positive(settings: object, *names: str) -> None:
    for name in names:
        _require(getattr(settings, name) > 0, name, getattr(settings, name), "greater than 0")


def _not_negative(settings: object, *names: str) -> None:
    for name in names:
        _require(getattr(settings, name) >= 0, name, getattr(settings, name), "0 or greater")


def _in_unit(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(0 <= value < 1, name, value, "0 up to, not including, 1")


def _increasing(settings: object, name: str) -> None:
    values = getattr(settings, name)
    _require(
        all(a < b for a, b in itertools.pairwise(values)) and all(value > 0 for value in values),
        name,
        list(values),
        "positive numbers, each greater than the one before",
    )


@dataclass(frozen=True, kw_only=True)
class SynthesizeSettings:
    """Synthetic faces: how many are drawn, of how many people."""

    train_faces: int
    test_faces: int
    faces_per_subject: int

    def __post_init__(self) -> None:
        _positive(self, "train_faces", "test_faces", "faces_per_subject")


@dataclass(frozen=True, kw_only=True)
class DatasetSettings:
    """Where the faces come from and how the validation part is held out of train."""

    source: Literal["synthetic", "rafdb", "folder", "csv"]
    class_names: tuple[str, ...]
    validation_fraction: float

    def __post_init__(self) -> None:
        names = self.class_names
        _require(len(names) >= 2, "class_names", list(names), "two names or more")
        _require(len(set(names)) == len(names), "class_names", list(names), "each name once")
        _require(all(names), "class_names", list(names), "no empty name")
        fraction = self.validation_fraction
        _require(0 < fraction <= 0.5, "validation_fraction", fraction, "above 0, at most 0.5")


@dataclass(frozen=True, kw_only=True)
class ValidateSettings:
    """What the data must fulfil before anything downstream reads it."""

    minimum_per_class: int
    minimum_contrast: float
    train_faces: int
    test_faces: int

    def __post_init__(self) -> None:
        _positive(self, "minimum_per_class")
        _not_negative(self, "minimum_contrast", "train_faces", "test_faces")


@dataclass(frozen=True, kw_only=True)
class DownsampleSettings:
    """How small faces are made and brought back to full size (MODELS: LR creation)."""

    form: Literal["scale", "size"]
    boundary: Literal["symmetric", "replicate"]
    restore: Literal["resize", "crop"]


@dataclass(frozen=True, kw_only=True)
class ExtractorSettings:
    """CovPoolFER's layers."""

    widths: tuple[int, ...]
    bimap_dim: int
    hidden_dim: int
    embedding_dim: int
    covariance_ridge: float
    eigenvalue_min: float
    eigenvalue_max: float
    batch_norm_momentum: float
    batch_norm_eps: float
    init_std: float

    def __post_init__(self) -> None:
        _require(len(self.widths) == 6, "widths", list(self.widths), "six numbers of filters")
        _require(min(self.widths) > 0, "widths", list(self.widths), "each greater than 0")
        _positive(self, "bimap_dim", "hidden_dim", "embedding_dim", "eigenvalue_min", "init_std")
        _positive(self, "batch_norm_eps")
        _not_negative(self, "covariance_ridge")
        momentum = self.batch_norm_momentum
        _require(0 < momentum <= 1, "batch_norm_momentum", momentum, "above 0, at most 1")
        _require(
            self.bimap_dim <= self.widths[-1],
            "bimap_dim",
            self.bimap_dim,
            f"at most the last of widths, {self.widths[-1]}",
        )
        _require(
            self.eigenvalue_max > self.eigenvalue_min,
            "eigenvalue_max",
            self.eigenvalue_max,
            f"greater than eigenvalue_min, {self.eigenvalue_min}",
        )


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How CovPoolFER is trained on full-size faces."""

    extractor: ExtractorSettings
    epochs: int
    batch_size: int
    learning_rate: float
    learning_rate_milestones: tuple[int, ...]
    learning_rate_factor: float
    beta1: float
    beta2: float
    adam_epsilon: float
    weight_decay: float
    center_loss_weight: float
    center_rate: float
    rotation_degrees: float
    flip: bool
    selection: Literal["total_accuracy", "mean_class_accuracy"]

    def __post_init__(self) -> None:
        _positive(self, "epochs", "learning_rate", "learning_rate_factor", "adam_epsilon")
        _require(self.batch_size >= 2, "batch_size", self.batch_size, "2 or greater")
        _not_negative(self, "weight_decay", "center_loss_weight", "center_rate")
        _in_unit(self, "beta1", "beta2")
        _increasing(self, "learning_rate_milestones")
        degrees = self.rotation_degrees
        _require(0 <= degrees <= 180, "rotation_degrees", degrees, "0 to 180")


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How train faces are varied before they are made small."""

    rotation_degrees: float
    flip: bool
    zoom: float
    shift_pixels: float
    hidden_share: float

    def __post_init__(self) -> None:
        degrees = self.rotation_degrees
        _require(0 <= degrees <= 180, "rotation_degrees", degrees, "0 to 180")
        _not_negative(self, "zoom", "shift_pixels")
        share = self.hidden_share
        _require(0 <= share <= 1, "hidden_share", share, "0 to 1")


@dataclass(frozen=True, kw_only=True)
class SizesSettings:
    """At which sizes train faces are seen."""

    full_size_share: float
    any_size_share: float
    smallest_pixels: int

    def __post_init__(self) -> None:
        for name in ("full_size_share", "any_size_share"):
            value = getattr(self, name)
            _require(0 <= value <= 1, name, value, "0 to 1")
        together = self.full_size_share + self.any_size_share
        _require(
            together <= 1,
            "any_size_share",
            self.any_size_share,
            f"at most 1 - full_size_share, {1 - self.full_size_share:g}",
        )
        pixels = self.smallest_pixels
        _require(
            MINIMUM_LR_PIXELS <= pixels <= FULL_SIZE,
            "smallest_pixels",
            pixels,
            f"{MINIMUM_LR_PIXELS} to {FULL_SIZE}",
        )


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """A network that reads the full-size face, whose answer the small face's should equal."""

    network: Literal["none", "pretrained", "average"]
    logits_weight: float
    temperature: float
    embedding_weight: float
    features_weight: float

    def __post_init__(self) -> None:
        _not_negative(self, "logits_weight", "embedding_weight", "features_weight")
        _positive(self, "temperature")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How the pretrained extractor goes on to learn from faces of all sizes."""

    epochs: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float
    beta1: float
    beta2: float
    adam_epsilon: float
    weight_decay: float
    label_smoothing: float
    class_balance: float
    average_decay: float
    augment: AugmentSettings
    sizes: SizesSettings
    teacher: TeacherSettings
    validation_every: int
    selection: Literal["total_accuracy", "mean_class_accuracy", "both"]
    repeat: int

    def __post_init__(self) -> None:
        _positive(self, "epochs", "learning_rate", "adam_epsilon", "validation_every")
        _require(self.batch_size >= 2, "batch_size", self.batch_size, "2 or greater")
        _not_negative(self, "final_learning_rate", "weight_decay", "class_balance", "repeat")
        _in_unit(self, "beta1", "beta2", "label_smoothing", "average_decay")
        _require(
            self.teacher.network != "average" or self.average_decay > 0,
            "average_decay",
            self.average_decay,
            "above 0, since teacher.network is average",
        )


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings:
    """How second-order features are stored."""

    dtype: Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """The generator: RRDB blocks at constant size (paper, section 3.4)."""

    filters: int
    growth: int
    blocks: int
    residual_scale: float
    channel_affine: bool
    tail_kernel: int
    long_skip: bool
    init_scale: float

    def __post_init__(self) -> None:
        _positive(self, "filters", "growth", "blocks", "residual_scale", "tail_kernel")
        _positive(self, "init_scale")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSettings:
    """The discriminator: ESRGAN's without batch normalisation."""

    filters: tuple[int, ...]
    bias: bool
    hidden_dim: int

    def __post_init__(self) -> None:
        _require(
            len(self.filters) > 0 and min(self.filters) > 0,
            "filters",
            list(self.filters),
            "one number greater than 0 for each halving of the map",
        )
        _positive(self, "hidden_dim")


@dataclass(frozen=True, kw_only=True)
class FsrSettings:
    """How generator and discriminator are trained."""

    generator: GeneratorSettings
    discriminator: DiscriminatorSettings
    iterations: int
    l2_iterations: int
    batch_size: int
    learning_rate: float
    learning_rate_milestones: tuple[int, ...]
    learning_rate_factor: float
    l2_learning_rate: float
    l2_decay_iterations: int
    beta1: float
    beta2: float
    discriminator_steps: int
    validation_every: int
    precision: Literal["float32", "tf32", "bfloat16"]

    def __post_init__(self) -> None:
        _positive(self, "iterations", "batch_size", "learning_rate", "learning_rate_factor")
        _positive(self, "discriminator_steps", "validation_every")
        _positive(self, "l2_learning_rate", "l2_decay_iterations")
        _not_negative(self, "l2_iterations")
        _in_unit(self, "beta1", "beta2")
        _increasing(self, "learning_rate_milestones")


@dataclass(frozen=True, kw_only=True)
class RcanSettings:
    """RCAN's size (MODELS section 4)."""

    groups: int
    blocks: int
    filters: int
    reduction: int

    def __post_init__(self) -> None:
        _positive(self, "groups", "blocks", "filters", "reduction")
        _require(
            self.filters % self.reduction == 0,
            "reduction",
            self.reduction,
            f"a divisor of filters, {self.filters}",
        )


@dataclass(frozen=True, kw_only=True)
class MetaSrSettings:
    """Meta-SR's size (MODELS section 5)."""

    filters: int
    growth: int
    blocks: int
    layers: int
    hidden: int

    def __post_init__(self) -> None:
        _positive(self, "filters", "growth", "blocks", "layers", "hidden")


@dataclass(frozen=True, kw_only=True)
class NaturalSettings:
    """The natural pictures that image super-resolution is trained on."""

    pictures: str
    rcan_patch_pixels: int
    meta_sr_patch_pixels: int

    def __post_init__(self) -> None:
        name = self.pictures
        _require(bool(name), "pictures", name, '"scikit-image" or a folder of pictures')
        for key in ("rcan_patch_pixels", "meta_sr_patch_pixels"):
            pixels = getattr(self, key)
            _require(pixels >= MINIMUM_LR_PIXELS, key, pixels, f"{MINIMUM_LR_PIXELS} or more")


@dataclass(frozen=True, kw_only=True)
class SuperResolutionSettings:
    """How one image super-resolution network is trained."""

    iterations: int
    batch_size: int
    learning_rate: float
    learning_rate_halving: int
    beta1: float
    beta2: float
    adam_epsilon: float
    validation_every: int
    validation_pictures: int

    def __post_init__(self) -> None:
        _positive(self, "iterations", "batch_size", "learning_rate", "learning_rate_halving")
        _positive(self, "adam_epsilon", "validation_every", "validation_pictures")
        _in_unit(self, "beta1", "beta2")


@dataclass(frozen=True, kw_only=True)
class SrSettings:
    """The image super-resolution rows."""

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

    gan_weight: float
    perceptual_weight: float
    feature_l2_weight: float
    feature_l2_reduction: Literal["sum", "mean"]
    penalty_k: float
    penalty_p: float

    def __post_init__(self) -> None:
        _not_negative(self, "gan_weight", "perceptual_weight", "feature_l2_weight", "penalty_k")
        _require(self.penalty_p >= 2, "penalty_p", self.penalty_p, "2 or greater")


@dataclass(frozen=True, kw_only=True)
class ReweightSettings:
    """Equation 11: w_i = (sigma - p_i) ** r."""

    sigma: float
    r: float
    probability_from: Literal["sr", "lr"]
    detach: bool
    discriminator: bool

    def __post_init__(self) -> None:
        _require(self.sigma > 1, "sigma", self.sigma, "greater than 1 (so that no weight is 0)")
        _require(self.r >= 1, "r", self.r, "1 or greater")


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How sure the report is of a number."""

    confidence: float
    resamples: int
    calibration_bins: int

    def __post_init__(self) -> None:
        _require(0.5 <= self.confidence < 1, "confidence", self.confidence, "0.5 to below 1")
        _require(self.resamples >= 100, "resamples", self.resamples, "100 or more")
        bins = self.calibration_bins
        _require(1 <= bins <= 1000, "calibration_bins", bins, "1 to 1000")


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """What the report shows."""

    example_faces: int

    def __post_init__(self) -> None:
        _require(1 <= self.example_faces <= 12, "example_faces", self.example_faces, "1 to 12")


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """How much worse a change may be: points of total accuracy. No stage reads this."""

    largest_drop_of_mean: float
    largest_drop_at_a_size: float
    only_beyond_noise: bool

    def __post_init__(self) -> None:
        _not_negative(self, "largest_drop_of_mean", "largest_drop_at_a_size")


@dataclass(frozen=True, kw_only=True)
class StudiesSettings:
    """Trainings repeated with other seeds, in a pipeline of their own (studies/dvc.yaml)."""

    seeds: tuple[int, ...]
    validation_every: int

    def __post_init__(self) -> None:
        _positive(self, "validation_every")
        seeds = self.seeds
        known = len(set(seeds)) == len(seeds) >= 2 and min(seeds) >= 0
        _require(known, "seeds", list(seeds), "two whole numbers from 0 or more, each once")


def check_scales(scales: Sequence[int]) -> tuple[int, ...]:
    """Check the list of downsampling factors.

    Raises:
        SettingsError: it is empty, has a factor below 2 or twice, or one that leaves too little.
    """
    _require(len(scales) > 0, "scales", list(scales), "one factor or more")
    _require(len(set(scales)) == len(scales), "scales", list(scales), "each factor once")
    for scale in scales:
        _require(scale >= 2, "scales", scale, "whole numbers from 2")
        pixels = math.ceil(FULL_SIZE / scale)
        _require(
            pixels >= MINIMUM_LR_PIXELS,
            "scales",
            scale,
            f"factors that leave {MINIMUM_LR_PIXELS} pixels or more of {FULL_SIZE} "
            f"(at most {FULL_SIZE // (MINIMUM_LR_PIXELS - 1)}); x{scale} leaves {pixels}",
        )
    return tuple(scales)


def build(cls: type[T], values: object, key: str) -> T:
    """Make a settings object from what a YAML file says under ``key``.

    Raises:
        SettingsError: a key is unknown or missing, a value has the wrong type or is out of range.
    """
    converted = _convert(cls, values, key)
    return typing.cast(T, converted)


def _convert(kind: Any, value: object, key: str) -> Any:
    """``value`` as ``kind``; an int passes as a float, nothing else is bent."""
    if is_dataclass(kind):
        return _convert_section(kind, value, key)
    origin = get_origin(kind)
    if origin is Literal:
        _require(value in get_args(kind), key, value, "one of " + ", ".join(get_args(kind)))
        return value
    if origin is tuple:
        _require(isinstance(value, list), key, value, "a list")
        return tuple(
            _convert(get_args(kind)[0], item, f"{key}[{i}]")
            for i, item in enumerate(typing.cast(list[object], value))
        )
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _require(number and math.isfinite(typing.cast(float, value)), key, value, "a number")
        return float(typing.cast(float, value))
    if kind is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole, key, value, "a whole number")
        return value
    if kind is bool:
        _require(isinstance(value, bool), key, value, "true or false")
        return value
    _require(isinstance(value, str), key, value, "a text")
    return value


def _convert_section(cls: Any, values: object, key: str) -> Any:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{key} is {values!r}; expected a section with keys")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    for name in values:
        if name not in names:
            raise SettingsError(f"{key}.{name} is not a known key; known: {', '.join(names)}")
    for field in fields(cls):
        if field.name not in values and field.default is MISSING:
            raise SettingsError(f"{key}.{field.name} is missing; it has no default")
    arguments = {
        name: _convert(hints[name], value, f"{key}.{name}") for name, value in values.items()
    }
    try:
        return cls(**arguments)
    except SettingsError as error:  # from __post_init__, which knows no prefix
        raise SettingsError(f"{key}.{error}") from None
