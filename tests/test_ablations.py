"""Every ablation is a setting that params.yaml knows, allows, and does not have already."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from fsr_fer.ablations import ABLATIONS, overridden, queue, row_of
from fsr_fer.errors import UserError
from fsr_fer.params import check_params, read_yaml

PARAMS = read_yaml(Path(__file__).resolve().parents[1] / "params.yaml")


@pytest.mark.parametrize("profile", PARAMS["profiles"])
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_known_keys_to_allowed_values(name: str, profile: str) -> None:
    params = copy.deepcopy(PARAMS)
    for override in ABLATIONS[name]:
        key, text = override.format(profile=profile).split("=")
        *above, last = key.split(".")
        section = params
        for part in above:
            section = section[part]
        assert last in section, key
        section[last] = yaml.safe_load(text)
    check_params(params)


def test_values_are_put_over_declared_params_and_over_nothing_else() -> None:
    params = {"losses": PARAMS["losses"], "profiles.small.fsr": PARAMS["profiles"]["small"]["fsr"]}
    before = copy.deepcopy(params)
    changed = overridden(params, "literal-generator", "small")
    assert params == before
    assert changed["profiles.small.fsr"]["generator"]["long_skip"] is False
    changed["profiles.small.fsr"]["generator"]["long_skip"] = True
    assert changed == before
    assert overridden(params, "no-gan", "small")["losses"] == {
        **before["losses"],
        "gan_weight": 0.0,
    }
    with pytest.raises(KeyError, match=r"reweight\.detach, which is not declared"):
        overridden(params, "weight-not-detached", "small")


def test_which_row_an_ablation_is_compared_with() -> None:
    of = {row: {n for n in ABLATIONS if row_of(n) == row} for row in ("fsr_reweighted", "best")}
    assert of["fsr_reweighted"] == {
        "probability-from-lr",
        "weight-not-detached",
        "weight-on-discriminator",
    }
    assert of["best"] == {name for name in ABLATIONS if name.startswith("best-")}
    assert row_of("literal-generator") == row_of("no-gan") == "fsr_plain"


@pytest.mark.parametrize("profile", PARAMS["profiles"])
def test_the_schedule_alone_makes_of_best_a_longer_mixed_resolution(profile: str) -> None:
    section = f"profiles.{profile}.best"
    own = {section: PARAMS["profiles"][profile]["best"]}
    best = overridden(own, "best-schedule-alone", profile)[section]
    mixed = PARAMS["profiles"][profile]["mixed_resolution"]
    differing = {key for key in mixed if best[key] != mixed[key]}
    assert differing <= {"epochs", "learning_rate", "class_balance", "teacher", "validation_every"}
    assert best["teacher"]["network"] == mixed["teacher"]["network"] == "none"


def test_each_generator_is_an_ablation_of_the_other() -> None:
    skips = {profile["fsr"]["generator"]["long_skip"] for profile in PARAMS["profiles"].values()}
    assert skips == {True, False}
    assert {"literal-generator", "residual-generator"} <= set(ABLATIONS)


def test_an_unknown_name_is_told_before_anything_is_queued(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'no-gann' is no ablation; known: no-gan, "):
        queue(tmp_path, ["no-gan", "no-gann"], "small")
