"""params.yaml and what a stage reads of it.

The stage ``settings`` checks all of params.yaml and writes settings.json: the values that the
selected profile comes to. Every other stage reads there, and only what its node of dvc.yaml
declares, so a value that changes a result cannot go untracked by DVC.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from fsr_fer.code_fingerprint import CODE_FILE, fingerprint
from fsr_fer.errors import UserError
from fsr_fer.provenance.hashing import hashes_of
from fsr_fer.settings import (
    CommonSettings,
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
    SynthesizeSettings,
    ValidateSettings,
    build,
)

T = TypeVar("T")
Values = dict[str, Any]

PARAMS_FILE, PIPELINE_FILE = Path("params.yaml"), Path("dvc.yaml")
SETTINGS_FILE = Path("settings.json")

COMMON = ("seed", "data_seed", "scales")
SECTIONS: dict[str, type] = {
    "dataset": DatasetSettings,
    "synthesize": SynthesizeSettings,
    "validate": ValidateSettings,
    "downsample": DownsampleSettings,
    "pretrain": PretrainSettings,
    "features": FeaturesSettings,
    "losses": LossSettings,
    "reweight": ReweightSettings,
    "fsr": FsrSettings,
    "natural": NaturalSettings,
    "sr": SrSettings,
    "evaluate": EvaluateSettings,
    "report": ReportSettings,
    "review": ReviewSettings,
}
KEYS = (*COMMON, *SECTIONS, "fsr_l2", "finetune")
BASE = "based_on"
"""In a profile or a method of ``finetune``: the one whose values it replaces."""


def read_yaml(path: Path) -> Values:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: it is missing, no YAML, holds no mapping, or has a key twice.
    """
    try:
        return parse_yaml(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise UserError(
            f"{path} is not here ({Path.cwd()}); run this in the project's top folder"
        ) from None


def parse_yaml(content: bytes, name: str) -> Values:
    """The mapping in a YAML file, read as DVC reads it (YAML 1.2: 2e-4 is a number).

    Raises:
        UserError: it is no YAML, holds no mapping, or has a key twice.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        values = YAML(typ="safe").load(content)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        raise UserError(f"{name} cannot be read: line {line}: {error.problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{name} holds no keys")
    return values


def read_params(path: Path = PARAMS_FILE) -> Values:
    """Read params.yaml and check it for every profile.

    Raises:
        UserError: something in it is wrong.
    """
    params = read_yaml(path)
    try:
        check_params(params)
    except SettingsError as error:
        raise UserError(f"{path.name}: {error}") from None
    return params


def check_params(params: Mapping[str, Any]) -> None:
    """Check everything params.yaml holds, for all profiles.

    Raises:
        SettingsError: one message for the first thing that is wrong.
    """
    known = ("profile", *KEYS, "profiles")
    for key in params:
        if key not in known:
            raise SettingsError(f"{key} is not a known key; known: {', '.join(known)}")
    for key in known:
        if key not in params:
            raise SettingsError(f"{key} is missing; it has no default")
    profiles = params["profiles"]
    if not isinstance(profiles, Mapping) or not profiles:
        raise SettingsError(f"profiles is {profiles!r}; expected one section per profile")
    if params["profile"] not in profiles:
        raise SettingsError(f"profile is {params['profile']!r}; known: {', '.join(profiles)}")
    _checked(params)
    for name in profiles:
        profile_values(params, name)


def effective_values(params: Mapping[str, Any]) -> Values:
    """What settings.json holds: all values of the selected profile, the profile's own put in.

    Raises:
        SettingsError: one message for the first thing that is wrong.
    """
    check_params(params)
    everything = {name: profile_values(params, name) for name in params["profiles"]}
    values = everything[params["profile"]] | {
        "profile": params["profile"],
        "synthesize": {  # stages of their own, whichever profile is selected
            name: {"faces": own["synthesize"], "class_names": own["dataset"]["class_names"]}
            for name, own in everything.items()
            if own["dataset"]["source"] == "synthetic"
        },
    }
    del values["review"]  # no stage reads it
    return values


def profile_values(params: Mapping[str, Any], profile: str) -> Values:
    """All values of one profile, checked.

    Raises:
        SettingsError: a value of the profile is wrong.
    """
    values: Values = {key: params[key] for key in KEYS}
    for own in reversed(list(_with_bases(params["profiles"], profile, "profiles"))):
        for key in own:
            if key not in (*KEYS, BASE):
                known = ", ".join(KEYS)
                raise SettingsError(f"profiles.{profile}.{key} is not a known key; known: {known}")
        values = _overlaid(values, {key: value for key, value in own.items() if key != BASE})
    try:
        return _checked(values)
    except SettingsError as error:
        raise SettingsError(f"profiles.{profile}.{error}") from None


def edits_without_effect(params: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Values of the default that differ from ``before`` and that the selected profile replaces."""
    profile = params["profile"]
    values: Values = {}
    for own in reversed(list(_with_bases(params["profiles"], profile, "profiles"))):
        values = _overlaid(values, own)
    replaced, now, then = (_flat(v) for v in (values, params, before))
    return [key for key in now if key in replaced and key in then and now[key] != then[key]]


def _flat(values: Mapping[str, Any], above: str = "") -> Values:
    """Nested values by dotted key."""
    flat: Values = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        flat |= _flat(value, f"{above}{key}.") if nested else {f"{above}{key}": value}
    return flat


def _with_bases(sections: Mapping[str, Any], name: str, where: str) -> Iterator[Mapping[str, Any]]:
    """A section, the one it is based on, the one that is based on, and so on."""
    seen: list[str] = []
    while True:
        own = sections.get(name)
        if not isinstance(own, Mapping):
            raise SettingsError(f"{where}.{name} is {own!r}; expected a section, {{}} if empty")
        yield own
        seen.append(name)
        if BASE not in own:
            return
        base = own[BASE]
        if base not in sections or base in seen:
            others = [other for other in sections if other not in seen]
            raise SettingsError(
                f"{where}.{name}.{BASE} is {base!r}; allowed: one of {', '.join(others)}"
            )
        name = base


def _overlaid(base: Any, over: Any) -> Any:
    """``base`` with the values of ``over`` put in, section by section."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: _overlaid(base.get(key), value) for key, value in over.items()}}
    return over


def _checked(values: Mapping[str, Any]) -> Values:
    """One profile's values, each as its settings class has it."""
    common = build(CommonSettings, {key: values[key] for key in COMMON}, "")
    checked: Values = asdict(common) | {
        section: asdict(build(kind, values[section], section)) for section, kind in SECTIONS.items()
    }
    fsr_l2 = build(LossSettings, _overlaid(values["losses"], values["fsr_l2"]), "fsr_l2")
    checked["fsr_l2"] = {"losses": asdict(fsr_l2), "reweight": None}
    checked["fsr_plain"] = {"losses": checked["losses"], "reweight": None}
    checked["fsr_reweighted"] = {k: checked[k] for k in ("losses", "reweight")}
    checked["finetune"] = {}
    if not isinstance(values["finetune"], Mapping) or not values["finetune"]:
        raise SettingsError(f"finetune is {values['finetune']!r}; expected a section per method")
    for method in values["finetune"]:
        merged: Values = {}
        for own in reversed(list(_with_bases(values["finetune"], method, "finetune"))):
            merged = _overlaid(merged, {key: value for key, value in own.items() if key != BASE})
        settings = build(FinetuneSettings, merged, f"finetune.{method}")
        checked["finetune"][method] = asdict(settings)
    dim = checked["pretrain"]["extractor"]["bimap_dim"]
    halvings = len(checked["fsr"]["discriminator"]["filters"])
    if dim % 2**halvings:
        raise SettingsError(
            f"fsr.discriminator.filters has {halvings} numbers, each halving the map; "
            f"pretrain.extractor.bimap_dim = {dim} must be a multiple of {2**halvings}"
        )
    return checked


@dataclass(frozen=True)
class Stage:
    """One stage as it runs: what it may read, what it depends on, where its files lie."""

    name: str
    item: str | None
    values: Mapping[str, Any]
    """Declared values of settings.json by dotted key."""
    deps: tuple[Path, ...]
    outs: tuple[Path, ...]
    profile: str
    code: str
    """The fingerprint of its code."""

    @property
    def instance(self) -> str:
        """Its name as DVC writes it: ``fsr@plain``."""
        return self.name if self.item is None else f"{self.name}@{self.item}"

    @property
    def data(self) -> Path:
        """The profile's folder for faces, features and predictions."""
        return Path("data") / self.profile

    @property
    def models(self) -> Path:
        """The profile's folder for networks."""
        return Path("models") / self.profile

    @property
    def metrics(self) -> Path:
        """The profile's folder for what Git keeps."""
        return Path("metrics") / self.profile

    @property
    def seed(self) -> int:
        """The seed that the random streams of trainings start from."""
        return int(self.value("seed"))

    @property
    def data_seed(self) -> int:
        """The seed of drawn faces and of the validation part."""
        return int(self.value("data_seed"))

    @property
    def scales(self) -> tuple[int, ...]:
        """Downsampling factors, in the order of params.yaml."""
        return tuple(self.value("scales"))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in label order."""
        return tuple(self.value("dataset.class_names"))

    def settings(self, kind: type[T], section: str | None = None) -> T:
        """The section of settings.json that ``kind`` describes; ``section`` if it is not the only.

        Raises:
            KeyError: this stage does not declare it.
        """
        section = section or next(name for name, known in SECTIONS.items() if known is kind)
        return build(kind, self.value(section), section)

    def value(self, key: str) -> Any:
        """A declared value, or one within a declared section.

        Raises:
            KeyError: this stage does not declare it.
        """
        for declared, value in self.values.items():
            if key == declared:
                return value
            if key.startswith(declared + "."):
                return _lookup(value, key.removeprefix(declared + "."))
        raise KeyError(f"stage {self.name} reads {key}, which its params in dvc.yaml do not name")

    @cached_property
    def input_hashes(self) -> dict[str, str]:
        """MD5 of each dep, by path, as DVC hashes it; inputs may be large, so only once."""
        return hashes_of(self.deps)

    def fingerprint(self) -> str:
        """A key made of all that the stage's result depends on: values, inputs, code.

        A checkpoint under it can only be found by a run that would give the same result.
        """
        inputs = sorted(self.input_hashes.items())
        parts = (self.instance, sorted(self.values.items()), inputs, self.code)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def load_stage(name: str, item: str | None = None) -> Stage:
    """The stage ``name`` of dvc.yaml (``item``: which one of its foreach or matrix).

    Raises:
        UserError: settings.json or code.json is missing, or not of the params and code here.
    """
    settings = _read_json(SETTINGS_FILE)
    if settings != json.loads(json.dumps(effective_values(read_params()))):
        raise UserError(f"{SETTINGS_FILE} is not of this {PARAMS_FILE}: `dvc repro settings`")
    node = read_yaml(PIPELINE_FILE)["stages"][name]
    body, known = node.get("do", node), {"profile": settings["profile"]}
    if item is not None:
        known |= {
            "item": item,
            "key": item,
            **{f"item.{name}": item for name in node.get("matrix", ())},
        }
    if isinstance(node.get("foreach"), dict):
        known |= {f"item.{key}": value for key, value in node["foreach"][item].items()}

    def filled(text: str) -> str:
        once = re.sub(r"\$\{([^}]+)\}", lambda match: known[match[1]], text)
        return once if once == text else filled(once)  # an item's value may hold ${profile} itself

    def paths(kind: str) -> Iterator[Path]:
        for entry in body.get(kind, ()):
            yield Path(filled(next(iter(entry)) if isinstance(entry, dict) else entry))

    script = body["cmd"].split()[2].removeprefix("stages.")
    code = fingerprint(script)
    if _read_json(CODE_FILE).get(script) != code:
        raise UserError(f"{CODE_FILE} is not of the code that lies here: `dvc repro code`")
    declared = next(
        entry[SETTINGS_FILE.name] for entry in body["params"] if SETTINGS_FILE.name in entry
    )
    return Stage(
        name=name,
        item=item,
        values={key: _lookup(settings, key) for key in map(filled, declared or settings)},
        deps=tuple(paths("deps")),
        outs=tuple(path for kind in ("outs", "metrics", "plots") for path in paths(kind)),
        profile=settings["profile"],
        code=code,
    )


def _lookup(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _read_json(path: Path) -> Values:
    try:
        values: Values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return values
