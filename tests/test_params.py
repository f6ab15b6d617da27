"""params.yaml: every mistake a user can make there is one clear message."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from fsr_fer.errors import UserError
from fsr_fer.params import check_params, load_stage, read_yaml
from fsr_fer.settings import SettingsError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def params() -> dict[str, Any]:
    return copy.deepcopy(read_yaml(ROOT / "params.yaml"))


def put(params: dict[str, Any], key: str, value: object) -> None:
    *path, last = key.split(".")
    for part in path:
        params = params[part]
    params[last] = value


def test_the_committed_file_is_right(params: dict[str, Any]) -> None:
    check_params(params)
    assert params["profile"] == "small"
    assert set(params["profiles"]) >= {"small", "open_faces", "paper", "released"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("profile", "smal", r"profile is 'smal'; known: small, open_faces"),
        ("seed", -1, r"seed is -1; allowed: a whole number from 0"),
        ("seed", 1.5, r"seed is 1\.5"),
        ("scales", [], r"scales is \[\]; allowed: one factor or more"),
        ("scales", [2, 34], r"scales is 34; .*leave 4 pixels or more.*at most 33.*x34 leaves 3"),
        ("scales", [2, 2], r"scales is \[2, 2\]; allowed: each factor once"),
        ("scales", [1], r"scales is 1; allowed: whole numbers from 2"),
        ("scales", [2.5], r"scales is \[2\.5\]; allowed: a list of whole numbers"),
        ("reweight.sigma", 1.0, r"reweight\.sigma is 1\.0; allowed: greater than 1"),
        ("reweight.sigma", "high", r"reweight\.sigma is 'high'; allowed: a number"),
        ("reweight.sigma", True, r"reweight\.sigma is True; allowed: a number"),
        ("reweight.sigma", float("nan"), r"reweight\.sigma is nan; allowed: a number"),
        ("reweight.r", 0.9, r"reweight\.r is 0\.9; allowed: 1 or greater"),
        ("reweight.sigm", 1.5, r"reweight\.sigm is not a known key; known: sigma, r,"),
        ("reweight.detach", "yes", r"reweight\.detach is 'yes'; allowed: true or false"),
        ("losses.feature_l2_reduction", "avg", r"is 'avg'; allowed: one of sum, mean"),
        ("downsample.boundary", "mirror", r"is 'mirror'; allowed: one of symmetric, replicate"),
        ("evaluate.confidence", 95, r"confidence is 95\.0; allowed: 0\.5 to below 1"),
        (
            "review.largest_drop_of_mean",
            -1,
            r"largest_drop_of_mean is -1\.0; allowed: 0 or greater",
        ),
        ("review.only_beyond_noise", 1, r"only_beyond_noise is 1; allowed: true or false"),
        ("profiles.small.pretrain.epochs", 0, r"pretrain\.epochs is 0; allowed: greater than 0"),
        ("profiles.small.pretrain.epochs", 2.5, r"epochs is 2\.5; allowed: a whole number"),
        ("profiles.small.pretrain.extractor.widths", [8], r"widths is \[8\]; allowed: six"),
        ("profiles.small.pretrain.extractor.bimap_dim", 65, r"at most the last of widths, 64"),
        ("profiles.small.pretrain.extractor.bimap_dim", 24, r"= 24 must be a multiple of 16"),
        ("profiles.small.pretrain.learning_rate_milestones", [9, 3], r"each greater than the one"),
        ("profiles.small.fsr.generator.blocks", -1, r"generator\.blocks is -1"),
        ("profiles.small.fsr.beta1", 1.0, r"beta1 is 1\.0; allowed: 0 up to, not including, 1"),
        ("profiles.small.dataset.source", "raf", r"one of synthetic, rafdb, folder, csv"),
        ("profiles.small.dataset.source", "csv", r"synthesize must be there exactly if"),
        ("profiles.small.dataset.class_names", ["a", "a"], r"allowed: each name once"),
        ("profiles.paper.reweight", {"sigma": 0.5}, r"profiles\.paper\.reweight\.sigma is 0\.5"),
        ("profiles.paper.losses", {"gan": 1.0}, r"profiles\.paper\.losses\.gan is not a known"),
        ("profiles.paper.fsr", None, r"profiles\.paper\.fsr is None; expected a section"),
        ("profiles.small.bset", 3, r"small\.bset is not a known key; known: .*mixed_resolution"),
        ("profiles.small.bset", {}, r"small\.bset\.\w+ is missing"),
        ("reweigh", {}, r"reweigh is not a known key; known: profile, seed"),
    ],
)
def test_mistakes(params: dict[str, Any], key: str, value: object, message: str) -> None:
    put(params, key, value)
    with pytest.raises(SettingsError, match=message) as caught:
        check_params(params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["scales", "reweight", "profiles.small.fsr.generator.growth"])
def test_a_missing_key_is_named(params: dict[str, Any], key: str) -> None:
    *path, last = key.split(".")
    section = params
    for part in path:
        section = section[part]
    del section[last]
    with pytest.raises(SettingsError, match=rf"{key.replace('.', '[.]')} is missing"):
        check_params(params)


def test_a_new_row_is_a_section_that_every_profile_has(params: dict[str, Any]) -> None:
    profiles = params["profiles"]
    profiles["small"]["mine"] = profiles["small"]["mixed_resolution"]
    with pytest.raises(SettingsError, match=r"profiles\.open_faces\.mine is missing"):
        check_params(params)
    for profile in profiles.values():
        profile["mine"] = profile["mixed_resolution"]
    check_params(params)
    profiles["paper"]["mine"] = profiles["paper"]["mine"] | {"epochs": 0}
    with pytest.raises(SettingsError, match=r"profiles\.paper\.mine\.epochs is 0"):
        check_params(params)


def test_a_key_said_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UserError, match=r"'seed' stands twice.*line 2"):
        read_yaml(path)


def test_numbers_with_an_exponent_and_no_point_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: 2e-4\nb: 1E5\nc: e5\n")
    assert read_yaml(path) == {"a": 2e-4, "b": 1e5, "c": "e5"}


def test_a_missing_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not here"):
        read_yaml(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1\nb: 2")
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_yaml(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_profiles_own_values_replace_common_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ROOT / "params.yaml").read_text().replace("profile: small", "profile: released", 1)
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    stage = load_stage("fsr", "reweighted")
    assert stage.profile == "released"
    assert (stage.reweight.sigma, stage.reweight.r, stage.reweight.discriminator) == (
        1.5,
        2.0,
        True,
    )
    weights = stage.losses.gan_weight, stage.losses.feature_l2_weight
    assert weights == (1.0, 0.01)
    assert stage.losses.perceptual_weight == 10.0
    assert stage.fsr.l2_iterations == 40_000


def test_a_stage_cannot_read_what_it_does_not_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    stage = load_stage("fsr", "plain")
    assert stage.seed == 666
    with pytest.raises(KeyError, match="reads reweight, which its params"):
        _ = stage.reweight
    with pytest.raises(KeyError, match=r"reads profiles\.small\.pretrain"):
        _ = stage.pretrain


def test_the_fingerprint_changes_with_params_inputs_and_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  fsr:\n    foreach:\n      plain: {model: a}\n      reweighted: {model: b}\n"
        "    do:\n      cmd: x\n      deps: [code.py, inputs]\n      params: [reweight]\n"
    )
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/one.npy").write_bytes(b"1")
    (tmp_path / "code.py").write_text("a = 1")
    monkeypatch.chdir(tmp_path)
    keys = [load_stage("fsr", "plain").fingerprint(), load_stage("fsr", "plain").fingerprint()]
    assert keys[0] == keys[1]
    keys = [keys[0], load_stage("fsr", "reweighted").fingerprint()]
    (tmp_path / "inputs/one.npy").write_bytes(b"2")
    keys.append(load_stage("fsr", "plain").fingerprint())
    (tmp_path / "code.py").write_text("a = 2")
    keys.append(load_stage("fsr", "plain").fingerprint())
    text = (tmp_path / "params.yaml").read_text().replace("sigma: 1.5", "sigma: 2.5")
    (tmp_path / "params.yaml").write_text(text)
    keys.append(load_stage("fsr", "plain").fingerprint())
    assert len(set(keys)) == 5
