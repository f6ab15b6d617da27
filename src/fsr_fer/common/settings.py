"""Typed settings of params.yaml: a dataclass per section, each field with its allowed range."""

import itertools
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from fsr_fer.common.errors import UserError

T = TypeVar("T")

MINIMUM_LR_PIXELS = 4
FULL_SIZE = 100
"""Height and width of a full-size face in pixels (paper, section 4.1)."""
LARGEST = 1e30
"""Of a setting: torch refuses what float32 does not hold, 3.4e38, products included."""


class SettingsError(UserError):
    """An invalid value in params.yaml; the message has the key, the value and what is allowed."""


@dataclass(frozen=True)
class Range:
    """A condition on a value, ``holds``, and its words in messages, ``allowed``."""

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
    """What several stages read: seeds and scales."""

    seed: NotNegativeInt
    data_seed: NotNegativeInt
    scales: tuple[int, ...]

    def __post_init__(self) -> None:
        scales = self.scales
        require(len(scales) > 0, "scales", list(scales), "one factor or more")
        require(len(set(scales)) == len(scales), "scales", list(scales), "each factor once")
        largest = FULL_SIZE // (MINIMUM_LR_PIXELS - 1)
        allowed = f"whole numbers from 2 to {largest}, which leaves {MINIMUM_LR_PIXELS} pixels"
        for scale in scales:
            require(2 <= scale <= largest, "scales", scale, allowed)


def build(cls: type[T], values: object, key: str) -> T:
    """Build ``cls`` from a file's values under ``key``; SettingsError if one is invalid."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{key} is {values!r}; expected a section with keys")
    hints = typing.get_type_hints(cls, include_extras=True)
    where = f"{key}." if key else ""
    own = fields(typing.cast(Any, cls))
    require_keys(
        values,
        known=[field.name for field in own],
        needed=[field.name for field in own if field.default is MISSING],
        where=where,
    )
    arguments = {
        name: _convert(hints[name], value, f"{where}{name}") for name, value in values.items()
    }
    try:
        return cls(**arguments)
    except SettingsError as error:  # from __post_init__, which knows no prefix
        raise SettingsError(f"{where}{error}") from None


def _convert(kind: Any, value: Any, key: str) -> Any:
    """``value`` as ``kind``; an int passes as a float, there is no other coercion."""
    if isinstance(kind, type) and is_dataclass(kind):
        return build(kind, value, key)
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
        require_one_of(arguments, key, value)
        return value
    if origin is tuple:
        require(isinstance(value, (list, tuple)), key, value, "a list")
        return tuple(_convert(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        require(number and abs(value) <= LARGEST, key, value, f"a number up to {LARGEST:g}")
        return float(value)
    names = {int: "a whole number", bool: "true or false", str: "a text"}
    require(type(value) is kind, key, value, names[kind])
    return value


def require_keys(
    values: Collection[str], known: Collection[str], needed: Collection[str], where: str = ""
) -> None:
    """Raise SettingsError for a key that is not ``known``, or a ``needed`` one that is missing."""
    for name in values:
        if name not in known:
            raise SettingsError(f"{where}{name} is not a known key; known: {', '.join(known)}")
    for name in needed:
        if name not in values:
            raise SettingsError(f"{where}{name} is missing; it has no default")


def require_one_of(choices: Collection[str], key: str, value: object) -> None:
    """Raise SettingsError unless the ``value`` of ``key`` is one of ``choices``."""
    require(value in choices, key, value, "one of " + ", ".join(choices))


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise SettingsError for the ``value`` of ``key`` unless ``condition`` holds."""
    if not condition:
        raise SettingsError(f"{key} is {value!r}; allowed: {allowed}")
