"""params.yaml checked as a whole: every value of every profile, before anything starts."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import (
    CommonSettings,
    SettingsError,
    build,
    require,
    require_keys,
    require_one_of,
)
from fsr_fer.data.settings import (
    DatasetSettings,
    DownsampleSettings,
    FeaturesSettings,
    NaturalSettings,
    SynthesizeSettings,
    ValidateSettings,
)
from fsr_fer.evaluation.class_balance import EvaluateSettings
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.evaluation.settings import PackSettings, ReportSettings, ReviewSettings
from fsr_fer.pipeline.paths import PARAMS_FILE
from fsr_fer.pipeline.profiles import BASE, Values, flat, fsr_variant, profile_values, read_yaml
from fsr_fer.training.settings.distillation import DistillSettings
from fsr_fer.training.settings.finetuning import FinetuneSettings
from fsr_fer.training.settings.fsr import FsrSettings, LossSettings, ReweightSettings
from fsr_fer.training.settings.pretraining import PretrainSettings
from fsr_fer.training.settings.sr import SrSettings

COMMON = ("seed", "data_seed", "scales")
SECTIONS: dict[str, type] = {
    "synthesize": SynthesizeSettings,
    "dataset": DatasetSettings,
    "validate": ValidateSettings,
    "downsample": DownsampleSettings,
    "pretrain": PretrainSettings,
    "features": FeaturesSettings,
    "losses": LossSettings,
    "reweight": ReweightSettings,
    "fsr": FsrSettings,
    "natural": NaturalSettings,
    "sr": SrSettings,
    "pack": PackSettings,
    "evaluate": EvaluateSettings,
    "report": ReportSettings,
    "review": ReviewSettings,
}
RESTORED = ("rcan", "meta_sr", "meta_sr_retrained")
"""Methods whose faces the stage ``restore`` writes."""
RCAN_SCALES = (2, 3, 4, 8)
"""Scales for which dvc.yaml trains an RCAN."""
RESERVED = ("predictions", "raw", "studies", "weights")
"""Folders beside those of profiles."""
LISTED = ("methods", "fsr_variants", "finetune", "distill")
KEYS = (*COMMON, *SECTIONS, *LISTED)


def read_params(path: Path = PARAMS_FILE) -> Values:
    """Read params.yaml and check it for every profile; UserError if something in it is wrong."""
    params = read_yaml(path)
    _require_right({path.name: params})
    return params


@contextlib.contextmanager
def explaining(files: Mapping[str, Values]) -> Iterator[None]:
    """For code that reads unchecked params, by name: on an error, report what is wrong in them."""
    try:
        yield
    except (AttributeError, KeyError, TypeError):
        _require_right(files)
        raise


def _require_right(files: Mapping[str, Values]) -> None:
    for name, params in files.items():
        try:
            check_params(params)
        except SettingsError as error:
            raise UserError(f"{name}: {error}") from None


def selected_profile(root: Path, wanted: str | None = None) -> tuple[str, Values]:
    """Name and values of the profile ``wanted``, else of the selected one; UserError if none."""
    params = read_params(root / PARAMS_FILE)
    name = params["profile"] if wanted is None else wanted
    if name not in params["profiles"]:
        known = ", ".join(params["profiles"])
        raise UserError(f"params.yaml has no profile {name!r}; it has {known}")
    return name, profile_values(params, name)


def check_params(params: Mapping[str, Any]) -> None:
    """Check params.yaml for all profiles; a SettingsError says the first thing that is wrong."""
    known = ("profile", *KEYS, "profiles")
    require_keys(params, known, known)
    profiles = params["profiles"]
    if not isinstance(profiles, Mapping) or not profiles:
        raise SettingsError(f"profiles is {profiles!r}; expected one section per profile")
    for where in ("profiles", *LISTED):
        _check_names(params[where], where)
    if not isinstance(params["profile"], str) or params["profile"] not in profiles:
        raise SettingsError(f"profile is {params['profile']!r}; known: {', '.join(profiles)}")
    _check({**params, "profile": "default", "profiles": {"default": {}}})
    for name in profiles:
        try:
            _check({**params, "profile": name})
        except SettingsError as error:
            where = "" if str(error).startswith("profiles.") else f"profiles.{name}."
            raise SettingsError(f"{where}{error}") from None


def _check_names(sections: object, where: str) -> None:
    """Names are parts of paths and of stages; bases are names."""
    for name, own in sections.items() if isinstance(sections, Mapping) else ():
        known = re.fullmatch("[A-Za-z0-9_-]+", name) and name not in RESERVED
        allowed = f"letters, digits, _ and - alone, and not {', '.join(RESERVED)}"
        require(bool(known), f"{where}: the name", name, allowed)
        base = own.get(BASE, "") if isinstance(own, Mapping) else ""
        require(isinstance(base, str), f"{where}.{name}.{BASE}", base, f"a name of {where}")


def _check_outline(params: Mapping[str, Any], values: Values) -> None:
    """Check that a profile adds no stages: dvc.yaml reads the default's values."""
    for key in ("scales", "methods"):
        if values[key] != params[key]:
            raise SettingsError(f"{key} cannot differ from the default's")
    for key in LISTED[1:]:
        if new := sorted(values[key].keys() - params[key].keys()):
            raise SettingsError(f"{key}.{new[0]} is new; it belongs to {key} of the default")


def _check_methods(values: Values) -> None:
    """Check the methods: each has a network, and each trained network is used by one."""
    trained = [f"fsr/{name}" for name in values["fsr_variants"]]
    trained += [f"finetune/{name}" for name in (*values["finetune"], *values["distill"])]
    networks = ("pretrain", *trained)
    used = set()
    for name, own in values["methods"].items():
        row = build(MethodSettings, own, f"methods.{name}")
        require_one_of(networks, f"methods.{name}.model", row.model)
        known = ("downsample", *(f"restored/{method}" for method in RESTORED))
        require_one_of(known, f"methods.{name}.faces", row.faces)
        used.add(row.model)
    kinds = {name: own["network"] for name, own in values["finetune"].items()}
    kinds |= {name: kinds[own["teachers"][1]] for name, own in values["distill"].items()}
    others = [f"finetune/{name}" for name, kind in kinds.items() if kind != "pretrained"]
    extractors = [name for name in networks if name in used and not name.startswith("fsr/")]
    extractors = [name for name in extractors if name not in others]
    require_one_of(extractors, "pack.model", values["pack"]["model"])
    references, names = values["report"]["references"], list(values["methods"])
    distinct = len(set(references) & set(names)) == len(references)
    allowed = f"methods, each once, the baseline first: {', '.join(names)}"
    require(distinct and references[:1] == names[:1], "report.references", references, allowed)
    for model in trained:
        if model not in used:
            raise SettingsError(f"methods has none of model {model}; add one, or leave it out")


def _check(params: Mapping[str, Any]) -> None:
    values = profile_values(params, params["profile"])
    for key in LISTED:
        if not isinstance(values[key], Mapping) or not (values[key] or key == "distill"):
            raise SettingsError(f"{key} is {values[key]!r}; expected a section per method")
    _check_outline(params, values)
    require_keys(values, KEYS, needed=())
    build(CommonSettings, {key: values[key] for key in COMMON}, "")
    rows = [row for row in values["methods"].values() if isinstance(row, Mapping)]
    if any(row.get("faces") == "restored/rcan" for row in rows):
        some = bool(set(values["scales"]) & set(RCAN_SCALES))
        allowed = "lists with 2, 3, 4 or 8, for which there is RCAN"
        require(some, "scales", values["scales"], allowed)
    for section, kind in SECTIONS.items():
        build(kind, values[section], section)
    for method, own in values["finetune"].items():
        name = build(FinetuneSettings, own, f"finetune.{method}").network
        if name != "pretrained":
            from fsr_fer.models.networks import NETWORKS  # slow to import

            require_one_of(("pretrained", *NETWORKS), f"finetune.{method}.network", name)
    for student, own in values["distill"].items():
        where = f"distill.{student}"
        if student in values["finetune"]:
            raise SettingsError(
                f"{where} has the name of one in finetune; their networks are files there"
            )
        for teacher in build(DistillSettings, own, where).teachers:
            require_one_of(values["finetune"], f"{where}.teachers", teacher)
    now, default = flat(values), flat(params)
    for key in ("pack.model", *(f"distill.{student}.teachers" for student in values["distill"])):
        if now[key] != default[key]:  # dvc.yaml reads the default's
            raise SettingsError(f"{key} cannot differ from the default's")
    for variant, own in values["fsr_variants"].items():
        says = isinstance(own, Mapping) and isinstance(own.get("reweight"), bool)
        allowed = "a section in which reweight is true or false"
        require(says, f"fsr_variants.{variant}", own, allowed)
        build(LossSettings, fsr_variant(values, own)["losses"], f"fsr_variants.{variant}")
    _check_methods(values)
    dim = values["pretrain"]["extractor"]["bimap_dim"]
    halvings = len(values["fsr"]["discriminator"]["filters"])
    if dim % 2**halvings:
        raise SettingsError(
            f"fsr.discriminator.filters has {halvings} numbers, each halving the map; "
            f"pretrain.extractor.bimap_dim = {dim} must be a multiple of {2**halvings}"
        )
