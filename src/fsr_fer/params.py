"""params.yaml and dvc.yaml: checked as a whole, read by a stage only as far as it declares.

A stage asks for its own node of dvc.yaml; what it may then read are the params listed there and
nothing else, so a param that changes a result cannot go untracked by DVC.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from fsr_fer.errors import UserError
from fsr_fer.provenance.hashing import hashes_of
from fsr_fer.settings import (
    DatasetSettings,
    DownsampleSettings,
    EvaluateSettings,
    FeaturesSettings,
    FinetuneSettings,
    FsrSettings,
    LossSettings,
    NaturalSettings,
    PretrainSettings,
    ReportSettings,
    ReviewSettings,
    ReweightSettings,
    SettingsError,
    SrSettings,
    StudiesSettings,
    SynthesizeSettings,
    ValidateSettings,
    build,
    check_scales,
)

T = TypeVar("T")

PARAMS_FILE = Path("params.yaml")
PIPELINE_FILE = Path("dvc.yaml")

COMMON_SECTIONS: dict[str, type] = {
    "downsample": DownsampleSettings,
    "losses": LossSettings,
    "reweight": ReweightSettings,
    "evaluate": EvaluateSettings,
    "report": ReportSettings,
    "review": ReviewSettings,
    "studies": StudiesSettings,
}
PROFILE_SECTIONS: dict[str, type] = {
    "dataset": DatasetSettings,
    "validate": ValidateSettings,
    "pretrain": PretrainSettings,
    "features": FeaturesSettings,
    "fsr": FsrSettings,
    "natural": NaturalSettings,
    "sr": SrSettings,
}
ROW_SECTION = FinetuneSettings
"""What any further section of a profile is: a row of the stage ``finetune``, named after it."""
OVERRIDABLE_SECTIONS = ("losses", "reweight")
"""Common sections of which a profile may replace single values."""
LOSS_SECTIONS = ("fsr_l2",)
"""Rows of ``fsr`` that replace single values of ``losses``; each section is named after its row."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, or the JSON that `fsr-fer pack` made of it.

    Raises:
        UserError: it is missing, no YAML, holds no mapping, or says a key twice.
    """
    packed = path.with_suffix(".json")
    if packed.exists() and not path.exists():
        values = json.loads(packed.read_text(encoding="utf-8"))
    else:
        from fsr_fer.yaml12 import load_strictly  # a bare node has no YAML library

        try:
            values = load_strictly(path.read_bytes())
        except FileNotFoundError:
            raise UserError(
                f"{path} is not here ({Path.cwd()}); run this in the project's top folder"
            ) from None
        except ValueError as error:
            raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no keys")
    return values


def check_params(params: Mapping[str, Any]) -> None:
    """Check everything params.yaml says, for all profiles.

    Raises:
        SettingsError: one message for the first thing that is wrong.
    """
    known = ["profile", "seed", "scales", *COMMON_SECTIONS, *LOSS_SECTIONS, "profiles"]
    for key in params:
        if key not in known:
            raise SettingsError(f"{key} is not a known key; known: {', '.join(known)}")
    for key in known:
        if key not in params:
            raise SettingsError(f"{key} is missing; it has no default")
    _seed(params["seed"])
    _scales(params["scales"])
    profiles = params["profiles"]
    if not isinstance(profiles, Mapping) or not profiles:
        raise SettingsError(f"profiles is {profiles!r}; expected one section per profile")
    if params["profile"] not in profiles:
        raise SettingsError(f"profile is {params['profile']!r}; known: {', '.join(profiles)}")
    for section, kind in COMMON_SECTIONS.items():
        build(kind, params[section], section)
    for section in LOSS_SECTIONS:
        _overridden(params["losses"], params[section], "losses", section)
    for name, profile in profiles.items():
        _check_profile(name, profile, params)


def _check_profile(name: str, profile: object, params: Mapping[str, Any]) -> None:
    where = f"profiles.{name}"
    if not isinstance(profile, Mapping):
        raise SettingsError(f"{where} is {profile!r}; expected a section with keys")
    known = [*PROFILE_SECTIONS, *OVERRIDABLE_SECTIONS]
    rows = {key: None for p in params["profiles"].values() for key in _row_sections(p)}
    for key in profile:
        if key not in [*known, *rows, "synthesize"]:
            raise SettingsError(
                f"{where}.{key} is not a known key; known: synthesize, {', '.join([*known, *rows])}"
            )
    for key in [*known, *rows]:
        if key not in profile:
            why = "it is a row in another profile" if key in rows else "it has no default"
            raise SettingsError(f"{where}.{key} is missing; {why}")
    for section, kind in {**PROFILE_SECTIONS, **dict.fromkeys(rows, ROW_SECTION)}.items():
        build(kind, profile[section], f"{where}.{section}")
    for section in OVERRIDABLE_SECTIONS:
        _overridden(params[section], profile[section], section, f"{where}.{section}")
    synthetic = profile["dataset"]["source"] == "synthetic"
    if synthetic != ("synthesize" in profile):
        raise SettingsError(
            f"{where}.synthesize must be there exactly if {where}.dataset.source is synthetic"
        )
    if synthetic:
        build(SynthesizeSettings, profile["synthesize"], f"{where}.synthesize")
    dim = profile["pretrain"]["extractor"]["bimap_dim"]
    halvings = len(profile["fsr"]["discriminator"]["filters"])
    if dim % 2**halvings:
        raise SettingsError(
            f"{where}.fsr.discriminator.filters has {halvings} numbers, each halving the map; "
            f"{where}.pretrain.extractor.bimap_dim = {dim} must be a multiple of {2**halvings}"
        )


def _row_sections(profile: object) -> list[str]:
    """The sections of a profile that are rows of ``finetune``."""
    others = [*PROFILE_SECTIONS, *OVERRIDABLE_SECTIONS, "synthesize"]
    sections = profile if isinstance(profile, Mapping) else {}
    return [key for key, value in sections.items() if key not in others and isinstance(value, dict)]


def _seed(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SettingsError(f"seed is {value!r}; allowed: a whole number from 0")
    return value


def _scales(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(scale) is int for scale in value):
        raise SettingsError(f"scales is {value!r}; allowed: a list of whole numbers")
    return check_scales(value)


def _overridden(common: object, override: object, section: str, where: str) -> Any:
    """A common section with a profile's own values put over it."""
    kind = COMMON_SECTIONS[section]
    if not isinstance(common, Mapping) or not isinstance(override, Mapping):
        raise SettingsError(f"{where} is {override!r}; expected a section, {{}} if it is empty")
    names = [field.name for field in fields(kind)]
    for key in override:
        if key not in names:
            raise SettingsError(f"{where}.{key} is not a known key; known: {', '.join(names)}")
    return build(kind, {**common, **override}, where if override else section)


@dataclass(frozen=True)
class Stage:
    """One node of dvc.yaml: what it may read, what it depends on, what it writes."""

    name: str
    item: str | None
    profile: str
    params: Mapping[str, Any]
    """Declared params by dotted key."""
    deps: tuple[Path, ...]
    outs: tuple[Path, ...]
    command: str = ""

    @property
    def instance(self) -> str:
        """Its name as DVC writes it: ``fsr@plain``."""
        return self.name if self.item is None else f"{self.name}@{self.item}"

    def _value(self, key: str) -> Any:
        for declared, value in self.params.items():
            if key == declared or key.startswith(declared + "."):
                return _lookup({declared: value}, declared, *_parts(key.removeprefix(declared)))
        raise KeyError(
            f"stage {self.name} reads {key}, which its params in dvc.yaml do not declare"
        )

    def _common(self, section: str, kind: type[T]) -> T:
        return build(kind, self._value(section), section)

    def _own(self, section: str, kind: type[T]) -> T:
        key = f"profiles.{self.profile}.{section}"
        return build(kind, self._value(key), key)

    def _both(self, section: str) -> Any:
        key = f"profiles.{self.profile}.{section}"
        return _overridden(self._value(section), self._value(key), section, key)

    @property
    def seed(self) -> int:
        """The seed all random streams start from."""
        return _seed(self._value("seed"))

    @property
    def scales(self) -> tuple[int, ...]:
        """Downsampling factors, in the order of params.yaml."""
        return _scales(self._value("scales"))

    @property
    def dataset(self) -> DatasetSettings:
        """Where the faces come from."""
        return self._own("dataset", DatasetSettings)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in label order, for stages that need nothing else of ``dataset``."""
        key = f"profiles.{self.profile}.dataset.class_names"
        return build(_ClassNames, {"class_names": self._value(key)}, key).class_names

    @property
    def validate(self) -> ValidateSettings:
        """What the data must fulfil."""
        return self._own("validate", ValidateSettings)

    @property
    def downsample(self) -> DownsampleSettings:
        """How small faces are made and put back."""
        return self._common("downsample", DownsampleSettings)

    @property
    def pretrain(self) -> PretrainSettings:
        """How CovPoolFER is trained."""
        return self._own("pretrain", PretrainSettings)

    @property
    def features(self) -> FeaturesSettings:
        """How features are stored."""
        return self._own("features", FeaturesSettings)

    @property
    def fsr(self) -> FsrSettings:
        """How generator and discriminator are trained."""
        return self._own("fsr", FsrSettings)

    @property
    def natural(self) -> NaturalSettings:
        """Where natural pictures come from."""
        return self._own("natural", NaturalSettings)

    @property
    def sr(self) -> SrSettings:
        """The image super-resolution rows."""
        return self._own("sr", SrSettings)

    @property
    def finetune(self) -> FinetuneSettings:
        """How the row that this instance of the stage is named after goes on to learn."""
        assert self.item is not None
        return self.finetune_of(self.item)

    @property
    def losses(self) -> LossSettings:
        """The loss terms of this instance of the stage."""
        return self.losses_of(f"{self.name}_{self.item}")

    def losses_of(self, row: str) -> LossSettings:
        """The loss terms: the common values, the profile's own over them, the row's own on top."""
        settings: LossSettings = self._both("losses")
        if row in LOSS_SECTIONS:
            settings = _overridden(asdict(settings), self._value(row), "losses", row)
        return settings

    @property
    def reweight(self) -> ReweightSettings:
        """The re-weighting, the profile's own values put over the common ones."""
        settings: ReweightSettings = self._both("reweight")
        return settings

    @property
    def evaluate(self) -> EvaluateSettings:
        """How intervals are made."""
        return self._common("evaluate", EvaluateSettings)

    @property
    def report(self) -> ReportSettings:
        """What the report shows."""
        return self._common("report", ReportSettings)

    @property
    def studies(self) -> StudiesSettings:
        """Which trainings are repeated."""
        return self._common("studies", StudiesSettings)

    @property
    def validation_every(self) -> int:
        """How often the study of convergence validates, for stages that need nothing else."""
        key = "studies.validation_every"
        return build(_ValidationEvery, {"validation_every": self._value(key)}, key).validation_every

    def finetune_of(self, row: str) -> FinetuneSettings:
        """How the row of that name goes on to learn."""
        return self._own(row, FinetuneSettings)

    def synthesize_of(self, profile: str) -> SynthesizeSettings:
        """How many synthetic faces a profile draws."""
        key = f"profiles.{profile}.synthesize"
        return build(SynthesizeSettings, self._value(key), key)

    def class_names_of(self, profile: str) -> tuple[str, ...]:
        """The classes of a profile whose faces are drawn."""
        key = f"profiles.{profile}.dataset.class_names"
        return build(_ClassNames, {"class_names": self._value(key)}, key).class_names

    @cached_property
    def effective(self) -> dict[str, Any]:
        """All values behind the profile's name, nested, overrides applied (for the report)."""
        values: dict[str, Any] = {
            "profile": self.profile,
            "seed": self.seed,
            "scales": list(self.scales),
            "downsample": asdict(self.downsample),
            "losses": asdict(self.losses),
            "fsr_l2": dict(self._value("fsr_l2")),
            "reweight": asdict(self.reweight),
            "evaluate": asdict(self.evaluate),
            "report": asdict(self.report),
        }
        rows = _row_sections(self._value(f"profiles.{self.profile}"))
        for section, kind in {**PROFILE_SECTIONS, **dict.fromkeys(rows, ROW_SECTION)}.items():
            values[section] = asdict(self._own(section, kind))
        return values

    @cached_property
    def input_hashes(self) -> dict[str, str]:
        """MD5 of each dep as DVC hashes it, when first asked: inputs may be large, so only once."""
        return hashes_of(self.deps)

    def fingerprint(self) -> str:
        """A key made of all that the stage's result depends on: params, inputs, code.

        A checkpoint under it can only be found by a run that would give the same result.
        """
        parts = (
            self.name,
            self.item,
            sorted(self.params.items()),
            sorted(self.input_hashes.items()),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class _ClassNames:
    class_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _ValidationEvery:
    validation_every: int


def load_stage(name: str, item: str | None = None, pipeline: Path = PIPELINE_FILE) -> Stage:
    """The node ``name`` of dvc.yaml (``item``: which one of its foreach or matrix).

    ``pipeline`` may be another dvc.yaml whose stages run in the project's top folder too.

    Checks all of params.yaml first.

    Raises:
        UserError: something in params.yaml is wrong.
    """
    params = read_yaml(PARAMS_FILE)
    try:
        check_params(params)
    except SettingsError as error:
        raise UserError(f"{PARAMS_FILE}: {error}") from None
    node = read_yaml(pipeline)["stages"][name]
    values = {"profile": params["profile"], **_item_values(node, item)}
    body = node.get("do", node)

    def listed(key: str) -> list[str]:
        entries = [next(iter(e)) if isinstance(e, dict) else e for e in body.get(key, [])]
        return [_fill(entry, values) for entry in entries]

    return Stage(
        name=name,
        item=item,
        profile=params["profile"],
        params={key: _lookup(params, *_parts(key)) for key in listed("params")},
        deps=tuple(Path(path) for path in listed("deps")),
        outs=tuple(Path(p) for key in ("outs", "metrics", "plots") for p in listed(key)),
        command=_fill(body["cmd"], values),
    )


def _item_values(node: Mapping[str, Any], item: str | None) -> dict[str, Any]:
    """What ``${item...}`` and ``${key}`` stand for in one instance of a node."""
    if "matrix" in node:
        variables = list(node["matrix"])
        parts = str(item).split("-", len(variables) - 1)  # as DVC names them: "a-b"
        return {f"item.{name}": part for name, part in zip(variables, parts, strict=True)}
    if "foreach" in node:
        choices = node["foreach"]
        if isinstance(choices, Mapping):
            return {"key": item, **{f"item.{k}": v for k, v in choices[item].items()}}
        return {"item": item}
    return {}


def _fill(template: str, values: Mapping[str, Any]) -> str:
    filled = template
    for _ in range(2):  # an item's value may hold ${profile} itself
        filled = re.sub(r"\$\{([^}]+)\}", lambda match: str(values[match[1]]), filled)
    return filled


def _parts(key: str) -> list[str]:
    """The parts of a dotted key; a dot in front does not count."""
    return [part for part in key.split(".") if part]


def _lookup(values: Mapping[str, Any], *parts: str) -> Any:
    value: Any = values
    for part in parts:
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(f"{PARAMS_FILE}: {'.'.join(parts)} is missing; it has no default")
        value = value[part]
    return value
