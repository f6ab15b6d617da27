"""What params.yaml may say: one frozen dataclass per section, the range of each value at its field.

``build`` makes and checks them. Values live in params.yaml.
"""

import itertools
import math
import typing
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from fsr_fer.errors import UserError

T = TypeVar("T")

MINIMUM_LR_PIXELS = 4
FULL_SIZE = 100


class SettingsError(UserError):
    """A value in params.yaml that cannot be: names the key, the value and what is allowed."""


@dataclass(frozen=True)
class Range:
    """What a value must fulfil, and how a message puts it."""

    allowed: str
    holds: Callable[[Any], bool]


def _all_positive(values: tuple[int, ...]) -> bool:
    return len(values) > 0 and min(values) > 0


def _increasing(values: tuple[int, ...]) -> bool:
    return all(a < b for a, b in itertools.pairwise((0, *values)))


_POSITIVE = Range("above 0", lambda value: value > 0)
_NOT_NEGATIVE = Range("0 or more", lambda value: value >= 0)
PIXELS = Range(
    f"{MINIMUM_LR_PIXELS} to {FULL_SIZE}",
    lambda pixels: MINIMUM_LR_PIXELS <= pixels <= FULL_SIZE,
)
LR_PIXELS = Range(f"{MINIMUM_LR_PIXELS} or more", lambda pixels: pixels >= MINIMUM_LR_PIXELS)

PositiveInt = Annotated[int, _POSITIVE]
PositiveFloat = Annotated[float, _POSITIVE]
NotNegativeInt = Annotated[int, _NOT_NEGATIVE]
NotNegativeFloat = Annotated[float, _NOT_NEGATIVE]
Share = Annotated[float, Range("0 to 1", lambda value: 0 <= value <= 1)]
BelowOne = Annotated[float, Range("0 to below 1", lambda value: 0 <= value < 1)]
BatchSize = Annotated[int, Range("2 or more", lambda value: value >= 2)]
Degrees = Annotated[float, Range("0 to 180", lambda value: 0 <= value <= 180)]
Milestones = Annotated[tuple[int, ...], Range("increasing numbers above 0", _increasing)]


@dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """What several stages read: seeds, sizes, classes."""

    seed: NotNegativeInt
    data_seed: NotNegativeInt
    scales: tuple[int, ...]

    def __post_init__(self) -> None:
        scales = self.scales
        require(len(scales) > 0, "scales", list(scales), "one factor or more")
        require(len(set(scales)) == len(scales), "scales", list(scales), "each factor once")
        for scale in scales:
            require(scale >= 2, "scales", scale, "whole numbers from 2")
            pixels = math.ceil(FULL_SIZE / scale)
            require(
                pixels >= MINIMUM_LR_PIXELS,
                "scales",
                scale,
                f"factors that leave {MINIMUM_LR_PIXELS} pixels or more of {FULL_SIZE} "
                f"(at most {FULL_SIZE // (MINIMUM_LR_PIXELS - 1)}); x{scale} leaves {pixels}",
            )


@dataclass(frozen=True, kw_only=True)
class SynthesizeSettings:
    """Synthetic faces: how many are drawn, of how many people."""

    train_faces: PositiveInt
    test_faces: PositiveInt
    faces_per_subject: PositiveInt


@dataclass(frozen=True, kw_only=True)
class DatasetSettings:
    """Where the faces come from and how the validation part is held out of train."""

    source: Literal["synthetic", "rafdb", "folder", "csv"]
    class_names: tuple[str, ...]
    validation_fraction: Annotated[
        float, Range("above 0, at most 0.5", lambda share: 0 < share <= 0.5)
    ]

    def __post_init__(self) -> None:
        names = self.class_names
        require(len(names) >= 2, "class_names", list(names), "two names or more")
        alike = {unicodedata.normalize("NFC", name) for name in names}
        require(len(alike) == len(names), "class_names", list(names), "each name once")
        for name in names:
            require(name == name.strip() != "", "class_names", name, "no blank at either end")
            for character in name:  # what nobody sees, nobody can tell apart
                unseen = unicodedata.category(character)[0] in "CZ" and character != " "
                code = f"no character U+{ord(character):04X}"
                require(not unseen, "class_names", name, code)


@dataclass(frozen=True, kw_only=True)
class ValidateSettings:
    """What the data must fulfil before anything downstream reads it."""

    minimum_per_class: PositiveInt
    minimum_contrast: NotNegativeFloat
    train_faces: NotNegativeInt
    test_faces: NotNegativeInt


@dataclass(frozen=True, kw_only=True)
class DownsampleSettings:
    """How small faces are made and brought back to full size."""

    form: Literal["scale", "size"]
    boundary: Literal["symmetric", "replicate"]
    restore: Literal["resize", "crop"]


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
    center_rate: NotNegativeFloat
    rotation_degrees: Degrees
    flip: bool
    selection: Literal["total_accuracy", "mean_class_accuracy"]


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How train faces are varied before they are made small."""

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
class TeacherSettings:
    """Distillation: the teacher sees the full-size face, the student the small one."""

    network: Literal["none", "pretrained", "ema"]
    logits_weight: NotNegativeFloat
    temperature: PositiveFloat
    embedding_weight: NotNegativeFloat
    features_weight: NotNegativeFloat


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How the pretrained extractor is trained further on faces of all sizes."""

    epochs: PositiveInt
    batch_size: BatchSize
    learning_rate: PositiveFloat
    final_learning_rate: NotNegativeFloat
    weight_decay: NotNegativeFloat
    label_smoothing: BelowOne
    class_balance: NotNegativeFloat
    ema_decay: BelowOne
    augment: AugmentSettings
    sizes: SizesSettings
    teacher: TeacherSettings
    validation_every: PositiveInt
    selection: Literal["total_accuracy", "mean_class_accuracy", "both"]
    repeat: NotNegativeInt

    def __post_init__(self) -> None:
        decay = self.ema_decay
        possible = self.teacher.network != "ema" or decay > 0
        require(possible, "ema_decay", decay, "above 0, since teacher.network is ema")


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings:
    """How second-order features are stored."""

    dtype: Literal["float32", "float16"]


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

    filters: Annotated[
        tuple[int, ...],
        Range("one number above 0 per halving", _all_positive),
    ]
    bias: bool
    hidden_dim: PositiveInt


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


@dataclass(frozen=True, kw_only=True)
class NaturalSettings:
    """The natural pictures that image super-resolution is trained on."""

    pictures: Annotated[str, Range("scikit-image or a folder", bool)]
    rcan_patch_pixels: Annotated[int, LR_PIXELS]
    meta_sr_patch_pixels: Annotated[int, LR_PIXELS]


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
    """What tells the trained generators apart."""

    losses: LossSettings
    reweight: ReweightSettings | None


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """A row of the table: a network below ``models/<profile>``, the folder of its small faces."""

    model: str
    faces: str


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Confidence intervals and calibration."""

    confidence: Annotated[float, Range("0.5 to below 1", lambda share: 0.5 <= share < 1)]
    resamples: Annotated[int, Range("100 or more", lambda count: count >= 100)]
    calibration_bins: Annotated[int, Range("1 to 1000", lambda bins: 1 <= bins <= 1000)]


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """What the report shows."""

    example_faces: Annotated[int, Range("1 to 12", lambda faces: 1 <= faces <= 12)]


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """How much worse a change may be: points of total accuracy. No stage reads this."""

    largest_drop_of_mean: NotNegativeFloat
    largest_drop_at_a_size: NotNegativeFloat
    only_beyond_noise: bool


def build(cls: type[T], values: object, key: str) -> T:
    """Make a settings object from what a YAML or JSON file says under ``key``.

    Raises:
        SettingsError: a key is unknown or missing, a value has the wrong type or is out of range.
    """
    converted = _convert(cls, values, key)
    return typing.cast(T, converted)


def _convert(kind: Any, value: Any, key: str) -> Any:
    """``value`` as ``kind``; an int passes as a float, there is no other coercion."""
    if is_dataclass(kind):
        return _convert_section(kind, value, key)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        converted = _convert(arguments[0], value, key)
        for limit in arguments[1:]:
            shown = list(converted) if isinstance(converted, tuple) else converted
            require(limit.holds(converted), key, shown, limit.allowed)
        return converted
    if origin is UnionType:  # of a section and None
        section, none = arguments
        assert none is NoneType
        return None if value is None else _convert(section, value, key)
    if origin is Literal:
        require(value in arguments, key, value, "one of " + ", ".join(arguments))
        return value
    if origin is tuple:
        require(isinstance(value, (list, tuple)), key, value, "a list")
        return tuple(_convert(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        require(number and math.isfinite(value), key, value, "a number")
        return float(value)
    names = {int: "a whole number", bool: "true or false", str: "a text"}
    require(type(value) is kind, key, value, names[kind])
    return value


def _convert_section(cls: Any, values: object, key: str) -> Any:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{key} is {values!r}; expected a section with keys")
    hints = typing.get_type_hints(cls, include_extras=True)
    where = f"{key}." if key else ""
    names = [field.name for field in fields(cls)]
    for name in values:
        if name not in names:
            raise SettingsError(f"{where}{name} is not a known key; known: {', '.join(names)}")
    for field in fields(cls):
        if field.name not in values and field.default is MISSING:
            raise SettingsError(f"{where}{field.name} is missing; it has no default")
    arguments = {
        name: _convert(hints[name], value, f"{where}{name}") for name, value in values.items()
    }
    try:
        return cls(**arguments)
    except SettingsError as error:  # from __post_init__, which knows no prefix
        raise SettingsError(f"{where}{error}") from None


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise SettingsError(f"{key} is {value!r}; allowed: {allowed}")
