"""Profiles of params.yaml: the default's values, overlaid with a profile's own, not yet checked.

This module knows only how sections replace each other, so that a stage which checks settings.json
does not depend on the settings classes of other stages.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import SettingsError, require_one_of

Values = dict[str, Any]

BASE = "based_on"
"""In a profile or a method of ``finetune``: the one whose values it replaces some of."""


def read_yaml(path: Path) -> Values:
    """Read a YAML file as ``parse_yaml`` does; UserError also if it is missing."""
    try:
        return parse_yaml(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise UserError(
            f"{path} is not here ({Path.cwd()}); run this in the project's top folder"
        ) from None


def parse_yaml(content: bytes, name: str) -> Values:
    """The mapping in a YAML file, read as DVC reads it (YAML 1.2: 2e-4 is a number).

    UserError if it is no YAML, holds no mapping, has a key twice or one that is no text.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = content.decode("utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            if re.match("<{7}|={7}|>{7}", line):
                raise UserError(f"{name}: line {number}: a merge left conflict markers; resolve it")
            # `dvc exp run -S` would lose what one brings, or change what the other names as well.
            if "params.yaml" in name and re.match(r"[^#]*(<<\s*:|:\s+\*)", line):
                raise UserError(
                    f"{name}: line {number}: no merge keys (<<) or aliases (*) are read"
                )
        values = YAML(typ="safe").load(text)
        _require_text_keys(values, name)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        raise UserError(f"{name} cannot be read: line {line}: {error.problem}") from error
    except (YAMLError, ValueError, LookupError) as error:  # 2020-13-01 is no date
        raise UserError(f"{name} cannot be read: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise UserError(f"{name} cannot be read: it is nested too deep") from None
    if not isinstance(values, dict):
        raise UserError(f"{name} holds no keys")
    return values


def _require_text_keys(values: Any, name: str) -> None:
    items = values.items() if isinstance(values, dict) else ()
    for key, value in items:
        if not isinstance(key, str):
            raise UserError(f"{name}: the key {key!r} is no text; put it in quotes")
        _require_text_keys(value, name)


def effective_values(params: Mapping[str, Any]) -> Values:
    """What settings.json holds: the selected profile's values for stages; SettingsError."""
    everything = {name: profile_values(params, name) for name in params["profiles"]}
    values = everything[params["profile"]]
    del values["review"]  # no stage reads it
    return values | {
        "profile": params["profile"],
        "method_names": list(values["methods"]),  # their order; JSON's keys are sorted
        "synthesize": {  # stages of their own, whichever profile is selected
            name: {"faces": own["synthesize"], "class_names": own["dataset"]["class_names"]}
            for name, own in everything.items()
            if own["dataset"]["source"] == "synthetic"
        },
        "fsr_variants": {
            name: fsr_variant(values, own) for name, own in values["fsr_variants"].items()
        },
    }


def fsr_variant(values: Values, own: Values) -> Values:
    """Losses and re-weighting of one of ``fsr_variants``."""
    replaced = {key: value for key, value in own.items() if key != "reweight"}
    reweight = values["reweight"] if own["reweight"] else None
    return {"losses": _overlaid(values["losses"], replaced), "reweight": reweight}


def profile_values(params: Mapping[str, Any], profile: str) -> Values:
    """All values of a profile, in params.yaml's form; SettingsError if a base does not exist."""
    values: Values = {k: v for k, v in params.items() if k not in ("profile", "profiles")}
    values = _overlaid(values, _with_bases(params["profiles"], profile, "profiles"))
    methods = values["finetune"]
    if not isinstance(methods, Mapping):
        raise SettingsError(f"finetune is {methods!r}; expected a section per method")
    own = {name: _with_bases(methods, name, "finetune") for name in methods}
    return values | {"finetune": own}


def edits_without_effect(params: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Values of the default that differ from ``before`` and that the selected profile replaces."""
    replaced = flat(_with_bases(params["profiles"], params["profile"], "profiles"))
    now, then = flat(params), flat(before)
    return [key for key in now if key in replaced and key in then and now[key] != then[key]]


def edited_elsewhere(params: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Profiles that differ from ``before`` and of which the selected one takes nothing."""
    sections, used = params["profiles"], [params["profile"]]
    while base := sections[used[-1]].get(BASE):
        used.append(base)
    then = before.get("profiles")
    known = then if isinstance(then, Mapping) else {}
    return [
        name
        for name in sections
        if name not in used and known.get(name, sections[name]) != sections[name]
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> Values:
    """Nested values by dotted key, in order; lists and empty sections stay whole."""
    found: Values = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _with_bases(sections: Any, name: str, where: str, above: Sequence[str] = ()) -> Values:
    """A section put over the one it is based on, and this over its own base, and so on."""
    own = sections.get(name)
    if not isinstance(own, Mapping):
        raise SettingsError(f"{where}.{name} is {own!r}; expected a section, {{}} if empty")
    values = {key: value for key, value in own.items() if key != BASE}
    if BASE not in own:
        return values
    others = [other for other in sections if other not in (*above, name)]
    require_one_of(others, f"{where}.{name}.{BASE}", own[BASE])
    base: Values = _overlaid(_with_bases(sections, own[BASE], where, (*above, name)), values)
    return base


def _overlaid(base: Any, over: Any) -> Any:
    """``base`` with the values of ``over`` put in, section by section."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: _overlaid(base.get(key), value) for key, value in over.items()}}
    return over
