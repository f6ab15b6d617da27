"""params.yaml: every mistake a user can make there is one clear message."""

import copy
import re
import shutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_json
from fsr_fer.common.settings import SettingsError
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.networks import NETWORKS
from fsr_fer.pipeline.code_fingerprint import fingerprints
from fsr_fer.pipeline.params import SECTIONS, check_params, read_params
from fsr_fer.pipeline.profiles import (
    edits_without_effect,
    effective_values,
    parse_yaml,
    profile_values,
    read_yaml,
)
from fsr_fer.pipeline.stage import load_stage
from fsr_fer.training.settings.finetuning import FinetuneSettings
from fsr_fer.training.settings.fsr import FsrVariantSettings
from fsr_fer.training.settings.pretraining import PretrainSettings
from tests import ROOT
from tests.pipeline.provenance.conftest import commit, edit, git_init, shell


@pytest.fixture
def params() -> dict[str, Any]:
    return copy.deepcopy(read_yaml(ROOT / "params.yaml"))


STUDENT = "distill.ensemble_distillation"
SAME = ["mixed_resolution", "mixed_resolution"]


def section_of(params: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *path, last = key.split(".")
    for part in path:
        params = params[part]
    return params, last


def test_the_committed_file_is_right(params: dict[str, Any]) -> None:
    check_params(params)
    assert params["profile"] == "small"
    assert set(params["profiles"]) >= {"small", "open_faces", "paper", "released"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("profile", "smal", r"profile is 'smal'; known: small, open_faces"),
        ("seed", -1, r"seed is -1; allowed: 0 or more"),
        ("scales", 8, r"scales is 8; allowed: a list"),
        ("scales", [], r"scales is \[\]; allowed: one factor or more"),
        ("scales", [2, 34], "scales is 34; allowed: whole numbers from 2 to 33, which leaves 4"),
        ("scales", [5, 6], r"scales is \[5, 6\]; allowed: lists with 2, 3, 4 or 8, for which"),
        ("profile", ["small"], r"profile is \['small'\]; known: small, open_faces"),
        (
            "fsr_variants.l2",
            {"reweight": False, "perceptual_weight": 0, "gan_weight": 0, "feature_l2_weight": 0},
            r"fsr_variants\.l2\.gan_weight is 0\.0; allowed: above 0 where the other weights",
        ),
        ("pretrain.center_rate", 1.5, r"center_rate is 1\.5; allowed: 0 to 1"),
        ("scales", [2, 2], r"scales is \[2, 2\]; allowed: each factor once"),
        ("scales", [2.5], r"scales\[0\] is 2\.5; allowed: a whole number"),
        ("reweight.sigma", 1.0, r"reweight\.sigma is 1\.0; allowed: above 1"),
        ("reweight.sigma", "high", r"reweight\.sigma is 'high'; allowed: a number"),
        ("reweight.sigma", float("nan"), r"reweight\.sigma is nan; allowed: a number"),
        ("fsr.learning_rate", 1e31, r"learning_rate is 1e\+31; allowed: a number up to 1e\+30"),
        ("fsr.learning_rate", 10**400, r"learning_rate is 10+; allowed: a number up to"),
        ("reweight.sigm", 1.5, r"reweight\.sigm is not a known key; known: sigma, r,"),
        ("report.confidence", 95, r"confidence is 95\.0; allowed: 0\.5 to below 1"),
        ("review.only_beyond_noise", 1, r"only_beyond_noise is 1; allowed: true or false"),
        ("pretrain.extractor.widths", [8], r"pool_after is \[1, 2, 4\]; allowed: at most 1"),
        ("pretrain.extractor.pool_after", [1, 2, 3, 4, 5, 6], r"halvings that leave 2 pixels"),
        ("pretrain.extractor.pooling", "mean", r"widths is .*; allowed: bimap_dim squared, 256"),
        ("pretrain.extractor.bimap_dim", 65, r"at most the last of widths, 64"),
        ("pretrain.extractor.bimap_dim", 24, r"= 24 must be a multiple of 16"),
        ("pretrain.learning_rate_milestones", [9, 3], r"increasing numbers above 0"),
        ("fsr.beta1", 1.0, r"beta1 is 1\.0; allowed: 0 to below 1"),
        ("dataset.source", "raf", r"one of synthetic, rafdb, fer2013, folder, csv"),
        ("dataset.class_names", ["a", "a"], r"allowed: each name once"),
        ("dataset.class_names", ["\u00e9", "e\u0301"], r"allowed: each name once"),
        ("dataset.class_names", ["a", " b"], r"class_names is ' b'; allowed: no blank at either"),
        ("dataset.class_names", ["a", ""], r"class_names is ''; allowed: no blank at either"),
        ("dataset.class_names", ["a", "b/c"], r"'b/c'; allowed: a name that a folder can have"),
        ("dataset.class_names", ["a", ".b"], r"'.b'; allowed: a name that a folder can have"),
        ("dataset.class_names", ["a", "b\u200b"], r"allowed: no character U\+200B"),
        ("profiles.paper.reweight", {"sigma": 0.5}, r"profiles\.paper\.reweight\.sigma is 0\.5"),
        ("profiles.paper.fsr", None, r"profiles\.paper\.fsr is None; expected a section"),
        ("profiles.paper.bset", 3, r"paper\.bset is not a known key; known: .*finetune"),
        ("profiles.released.based_on", "pape", r"based_on is 'pape'; allowed: one of small, open"),
        ("profiles.paper.based_on", "released", r"based_on is 'paper'; allowed: one of small"),
        ("finetune", {}, r"finetune is \{\}; expected a section per method"),
        ("profiles.paper.finetune", 3, r"paper\.finetune is 3; expected a section per method"),
        ("fsr_variants", 3, r"fsr_variants is 3; expected a section per method"),
        ("fsr_variants.l2", 3, r"fsr_variants\.l2 is 3; allowed: a section in which"),
        ("finetune.bset", 3, r"finetune\.bset is 3; expected a section"),
        ("finetune.bset", {}, r"finetune\.bset\.\w+ is missing"),
        ("finetune.orthogonal_updates.epochs", 0, r"epochs is 0; allowed: above 0"),
        (
            "finetune.mixed_resolution.network",
            "x",
            r"network is 'x'; allowed: one of pretrained$",
        ),
        ("pack.degraded_sizes", [24], r"degraded_sizes is \[24\]; allowed: some of sizes, where"),
        ("pack.model", "fsr/plain", r"model is 'fsr/plain'; allowed: one of pretrain, finetune/mi"),
        ("profiles.paper.pack", {"model": "pretrain"}, r"pack\.model cannot differ"),
        (f"{STUDENT}.teachers", ["mixed_resolution"], r"ation\.teachers is .*allowed: two of fine"),
        (f"{STUDENT}.teachers", ["mixed_resolution", "x"], r"is 'x'; allowed: one of mixed_"),
        (
            "profiles.paper.distill",
            {"ensemble_distillation": {"teachers": SAME}},
            r"profiles\.paper\.distill\.ensemble_distillation\.teachers cannot differ",
        ),
        ("distill.mixed_resolution", {}, r"distill\.mixed_resolution has the name of one in fine"),
        ("distill.second", {"teachers": SAME}, r"distill\.second\.\w+ is missing"),
        ("distill", {}, r"'finetune/ensemble_distillation'; allowed: one of pretrain"),
        ("distill", [], r"distill is \[\]; expected a section per method"),
        (
            "report.references",
            ["bicubic", "x"],
            r"'x'\]; allowed: methods, each once, the baseline",
        ),
        ("report.references", ["bicubic", "bicubic"], r"'bicubic'\]; allowed: methods, each once"),
        (
            "report.references",
            ["rcan"],
            r"references is \['rcan'\]; allowed: .* first: bicubic, rc",
        ),
        ("report.references", [], r"references is \[\]; allowed: methods"),
        ("pack", 3, r"pack is 3; expected a section"),
        ("fsr_variants.l2.gan", 1.0, r"fsr_variants\.l2\.gan is not a known key"),
        ("fsr_variants.l2.reweight", 1, r"l2 is .* allowed: a section in which reweight is true"),
        ("methods.rcan.model", "fsr/x", r"methods\.rcan\.model is 'fsr/x'; allowed: one of pret"),
        ("methods.rcan.faces", "restored/x", r"'restored/x'; allowed: one of downsample, restored"),
        ("methods.a b", {}, r"the name is 'a b'; allowed: letters, digits, _ and - alone"),
        ("profiles.predictions", {}, r"profiles: the name is 'predictions'; .* and not pre"),
        ("finetune.orthogonal_updates.based_on", ["x"], r"based_on is \['x'\]; allowed: a name of"),
        ("methods.fsr_l2.model", "pretrain", r"methods has none of model fsr/l2; add one"),
        ("profiles.paper.scales", [2], r"profiles\.paper\.scales cannot differ from the default"),
        ("profiles.paper.fsr_variants", {"new": {"reweight": True}}, r"fsr_variants\.new is new"),
        ("reweigh", {}, r"reweigh is not a known key; known: profile, seed"),
    ],
)
def test_mistakes(params: dict[str, Any], key: str, value: object, message: str) -> None:
    section, last = section_of(params, key)
    section[last] = value
    with pytest.raises(SettingsError, match=message) as caught:
        check_params(params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["scales", "reweight", "fsr.generator.growth", "data_seed", "pack.model"]
)
def test_a_missing_key_is_named(params: dict[str, Any], key: str) -> None:
    section, last = section_of(params, key)
    del section[last]
    with pytest.raises(SettingsError, match=rf"{key.replace('.', '[.]')} is missing"):
        check_params(params)


def test_a_network_of_another_class_is_named_by_its_method_and_cannot_be_packed(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "plain", FaceClassifier)
    params["finetune"]["orthogonal_updates"]["network"] = "plain"
    check_params(params)
    for model in ("orthogonal_updates", "ensemble_distillation"):  # whose second teacher it is
        params["pack"]["model"] = f"finetune/{model}"
        with pytest.raises(SettingsError, match=f"{model}'; allowed: one of pretrain, finetune/mi"):
            check_params(params)


def test_a_new_method_is_one_entry_for_every_profile(params: dict[str, Any]) -> None:
    params["finetune"]["mine"] = {"based_on": "mixed_resolution", "epochs": 3}
    params["methods"]["mine"] = {"model": "finetune/mine", "faces": "downsample"}
    check_params(params)
    assert profile_values(params, "small")["finetune"]["mine"]["epochs"] == 3
    mixed = profile_values(params, "paper")["finetune"]["mixed_resolution"]
    assert profile_values(params, "paper")["finetune"]["mine"] == mixed | {"epochs": 3}
    params["profiles"]["paper"]["finetune"]["mine"] = {"epochs": 0}
    with pytest.raises(SettingsError, match=r"profiles\.paper\.finetune\.mine\.epochs is 0"):
        check_params(params)


def test_yaml_is_that_of_version_1_2() -> None:
    assert parse_yaml(b"a: [0666, 2e-4, yes]  # <<: *too", "") == {"a": [666, 2e-4, "yes"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not here"),
        ("a: [1\nb: 2", "cannot be read"),
        ("seed: 1\nseed: 2\n", 'line 2: found duplicate key "seed"'),
        ("seed: 1\n<<<<<<< HEAD\n", "line 2: a merge left conflict markers"),
        ("=======\nseed: 2\n>>>>>>> main\n", "line 1: a merge left conflict markers"),
        ("seed: 2\n>>>>>>> main\n", "line 2: a merge left conflict markers"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "line 3: no merge keys"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "line 2: no merge keys"),
        ("a: &x {b: 1}\nc: *x\n", "line 2: no merge keys .* or aliases"),
        ("a: 2020-13-01\n", "cannot be read: month must be in 1..12"),
        (f"a: {'1' * 5000}\n", "cannot be read: Exceeds the limit"),
        ("a: !!bool maybe\n", "cannot be read: 'maybe'"),
        ("{a: " * 3000 + "1" + "}" * 3000, "nested too deep"),
        ("profiles:\n  1: {}\n", "the key 1 is no text; put it in quotes"),
        ("- 1\n", "holds no keys"),
    ],
)
def test_a_missing_or_broken_file_is_one_line(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_profiles_own_values_replace_common_ones(params: dict[str, Any]) -> None:
    params["profile"] = "released"  # based on paper
    values = effective_values(params)
    assert values["profile"] == "released"
    chosen = values["fsr_variants"]["reweighted"]
    reweight, losses = chosen["reweight"], chosen["losses"]
    assert (reweight["sigma"], reweight["r"], reweight["discriminator"]) == (1.5, 2.0, True)
    assert losses["perceptual_weight"] == 10.0
    l2 = values["fsr_variants"]["l2"]
    assert l2 == {"losses": losses | {"perceptual_weight": 0.0}, "reweight": None}
    assert values["fsr"]["l2_iterations"] == 40_000  # its own
    assert values["pretrain"]["epochs"] == 800  # paper's
    assert values["fsr"]["generator"]["growth"] == 16  # the default's


def leaves(values: dict[str, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, *above, key)
        else:
            yield (*above, key), value


def test_no_profile_repeats_a_value_that_it_has_anyway(params: dict[str, Any]) -> None:
    default, profiles = dict(leaves(params)), params["profiles"]
    for name, own in profiles.items():
        base = default | dict(leaves(profiles.get(own.get("based_on"), {})))
        repeated = {path for path, value in leaves(own) if base.get(path) == value}
        # Where the means are the features, the last of widths is bimap_dim squared.
        assert repeated <= {("pretrain", "extractor", "bimap_dim")}, name


def test_an_edit_that_the_profile_replaces_is_named(params: dict[str, Any]) -> None:
    before = copy.deepcopy(params)
    params["pretrain"]["epochs"] = 7
    assert edits_without_effect(params, before) == []  # small replaces nothing
    params["profile"] = "released"  # its own base replaces that
    assert edits_without_effect(params, before) == ["pretrain.epochs"]
    params["profiles"]["paper"]["pretrain"]["epochs"] = 9
    params["pretrain"]["flip"] = False
    assert edits_without_effect(params, before) == ["pretrain.epochs"]


def test_an_edit_of_a_profile_that_is_not_selected_is_named(project: Path) -> None:
    git_init(project)
    commit(project, "all")
    edit(project, "params.yaml", "      iterations: 150000", "      iterations: 9")  # as by -S
    said = "note: profiles.paper has changed, and profile: small is selected\n"
    assert shell(project, "python", "-m", "stages.settings") == said
    edit(project, "params.yaml", "profile: small ", "profile: released ")  # based on paper
    assert shell(project, "python", "-m", "stages.settings") == ""


def test_plain_does_not_depend_on_the_reweighting(params: dict[str, Any]) -> None:
    before = copy.deepcopy(effective_values(params))
    params["reweight"]["sigma"] = 2.5
    after = effective_values(params)
    assert {key for key in before if before[key] != after[key]} == {"reweight", "fsr_variants"}
    before, after = before["fsr_variants"], after["fsr_variants"]
    assert [name for name in before if before[name] != after[name]] == ["reweighted"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's params, stages and code, and what the first two stages write."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    shutil.copytree(ROOT / "src", tmp_path / "src")
    monkeypatch.chdir(tmp_path)
    refresh()
    return tmp_path


def refresh() -> None:
    """What the stages ``settings`` and ``code`` do."""
    write_json(Path("settings.json"), effective_values(read_params()))
    write_json(Path("code.json"), fingerprints())


def add_to_losses(line: str) -> None:
    path = Path("src/fsr_fer/training/losses.py")
    path.write_text(f"{path.read_text()}{line}\n")


def test_a_stage_cannot_read_what_it_does_not_declare(project: Path) -> None:
    stage = load_stage("fsr@plain")
    assert stage.seed == 666
    assert stage.settings(FsrVariantSettings, "fsr_variants.plain").reweight is None
    with pytest.raises(KeyError, match=r"reads fsr_variants\.reweighted, which its params"):
        stage.settings(FsrVariantSettings, "fsr_variants.reweighted")
    with pytest.raises(KeyError, match=r"reads pretrain"):
        stage.settings(PretrainSettings)


def test_methods_keep_the_order_of_params_yaml(project: Path) -> None:
    assert list(load_stage("cost").methods) == list(read_params()["methods"])
    assert list(read_params()["methods"])[:3] == ["bicubic", "rcan", "meta_sr"]


def test_stages_are_those_that_dvc_resolves(project: Path) -> None:
    stage = load_stage("downsample@3")
    assert stage.outs == (Path("data/small/downsample/x3.npy"),)
    assert load_stage("restore@meta_sr_retrained").deps[-1] == Path("models/small/sr_faces")
    deps = load_stage("evaluate@fsr_l2").deps
    assert deps[-1] == Path("models/small/fsr/l2.safetensors")
    with pytest.raises(UserError, match="no stage fsr@full; known: fsr@l2, fsr@plain, fsr@re"):
        load_stage("fsr@full")
    assert len(list(Path(".runs").glob("graph-*.json"))) == 1
    Path("dvc.yaml").write_text(Path("dvc.yaml").read_text().replace("fsr/${key}", "x/${key}"))
    assert load_stage("fsr@l2").outs[0] == Path("models/small/x/l2.safetensors")


def test_values_or_code_that_dvc_has_not_seen_are_refused(project: Path) -> None:
    """Where `dvc repro -s` leaves out the stages that would have brought them up to date."""
    text = Path("params.yaml").read_text()
    for now in (text.replace("\nreweight:", "\nweight:"), text.replace("sigma: 1.5", "sigma: 2.5")):
        Path("params.yaml").write_text(now)
        with pytest.raises(UserError, match=r"settings.json is not of this params.yaml: `dvc rep"):
            load_stage("fsr@plain")
    refresh()
    load_stage("fsr@plain")
    add_to_losses("# a comment")
    load_stage("fsr@plain")
    add_to_losses("NEW = 1")
    load_stage("downsample@2")
    with pytest.raises(UserError, match=r"code.json is not of the code that lies here: `dvc repro"):
        load_stage("fsr@plain")


def test_the_fingerprint_changes_with_values_inputs_and_code(project: Path) -> None:
    inputs = Path("data/small/features/train/hr.npy")
    inputs.parent.mkdir(parents=True)
    inputs.write_bytes(b"1")
    keys = [load_stage(f"fsr@{name}").fingerprint() for name in ("plain", "plain", "reweighted")]
    assert keys[0] == keys[1]
    inputs.write_bytes(b"2")
    keys.append(load_stage("fsr@plain").fingerprint())
    add_to_losses("NEW = 1")
    refresh()
    keys.append(load_stage("fsr@plain").fingerprint())
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("penalty_k: 2.0", "penalty_k: 2.5"))
    refresh()
    keys.append(load_stage("fsr@plain").fingerprint())
    assert len(set(keys)) == 5


def ranges(kind: Any, key: str) -> dict[str, str]:
    """The range's text of each key below a settings class, "" where it has none."""
    found: dict[str, str] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if is_dataclass(hint):
            found |= ranges(hint, f"{key}.{name}")
        else:
            found[f"{key}.{name}"] = (
                get_args(hint)[1].allowed if get_origin(hint) is Annotated else ""
            )
    return found


def comments(path: Path) -> dict[str, str]:
    """What stands behind each key of a YAML file, further lines of the comment included."""
    found: dict[str, str] = {}
    keys: list[str] = []
    for line in path.read_text().splitlines():
        if match := re.match(r"( *)(\w+):[^#]*(?:# *(.*))?$", line):
            keys = [*keys[: len(match[1]) // 2], match[2]]
            found.setdefault(".".join(keys), match[3] or "")
        elif match := re.match(r" +# (.*)", line):
            found[".".join(keys)] += f" {match[1]}"
    return found


def test_the_comments_of_params_yaml_give_each_range() -> None:
    said = comments(ROOT / "params.yaml")
    kinds = SECTIONS | {"finetune.mixed_resolution": FinetuneSettings}
    for section, kind in kinds.items():
        for key, allowed in ranges(kind, section).items():
            if allowed not in ("", "above 0"):
                assert allowed in said[key], key
            else:  # no other range is claimed
                assert not re.search(r"\d or more|above \d|^\d+ to ", said[key]), key
