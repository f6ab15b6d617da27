"""params.yaml checked as a whole: every value of every profile, before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsr_fer.errors import UserError
from fsr_fer.profiles import PARAMS_FILE, Values, profile_values, read_yaml
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
    "evaluate": EvaluateSettings,
    "report": ReportSettings,
    "review": ReviewSettings,
}
KEYS = (*COMMON, *SECTIONS, "fsr_l2", "finetune")


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
    _check({**params, "profile": "default", "profiles": {"default": {}}})
    for name in profiles:
        try:
            _check({**params, "profile": name})
        except SettingsError as error:
            where = "" if str(error).startswith("profiles.") else f"profiles.{name}."
            raise SettingsError(f"{where}{error}") from None


def _check(params: Mapping[str, Any]) -> None:
    """Check the selected profile's values."""
    if not isinstance(params["finetune"], Mapping) or not params["finetune"]:
        raise SettingsError(f"finetune is {params['finetune']!r}; expected a section per method")
    values = profile_values(params, params["profile"])
    for key in values:
        if key not in KEYS:
            raise SettingsError(f"{key} is not a known key; known: {', '.join(KEYS)}")
    build(CommonSettings, {key: values[key] for key in COMMON}, "")
    for section, kind in SECTIONS.items():
        build(kind, values[section], section)
    for method, own in values["finetune"].items():
        build(FinetuneSettings, own, f"finetune.{method}")
    build(LossSettings, {**values["losses"], **dict(values["fsr_l2"])}, "fsr_l2")
    dim = values["pretrain"]["extractor"]["bimap_dim"]
    halvings = len(values["fsr"]["discriminator"]["filters"])
    if dim % 2**halvings:
        raise SettingsError(
            f"fsr.discriminator.filters has {halvings} numbers, each halving the map; "
            f"pretrain.extractor.bimap_dim = {dim} must be a multiple of {2**halvings}"
        )
