"""dvc.yaml against the code: what a stage reads is what it declares."""

import ast
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from fsr_fer.pipeline import code_fingerprint
from fsr_fer.pipeline.code_fingerprint import fingerprints, require_own_code
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.profiles import effective_values
from tests import ROOT

SRC = ROOT / "src/fsr_fer"
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
NODES = {name: node.get("do", node) for name, node in STAGES.items()}
FIRST = ("code", "settings")


def script_of(name: str) -> str:
    match = re.match(r"python -m stages\.(\w+)( |$)", NODES[name]["cmd"])
    assert match, NODES[name]["cmd"]
    return match[1]


def declared(name: str, file: str) -> list[str]:
    for entry in NODES[name]["params"]:
        if file in entry:
            return list(entry[file] or effective_values(read_params(ROOT / "params.yaml")))
    return []


@pytest.mark.parametrize("name", [name for name in NODES if name != "code"])
def test_every_stage_declares_the_code_of_its_script(name: str) -> None:
    assert declared(name, "code.json") == [script_of(name)]


@pytest.mark.parametrize("name", [name for name in NODES if name not in FIRST])
def test_params_declare_exactly_what_a_stage_reads(name: str) -> None:
    text = (ROOT / "stages" / f"{script_of(name)}.py").read_text()
    read = set(re.findall(r"stage\.(seed|data_seed|scales|methods)\b", text))
    read |= {"seed"} if "training_run(" in text else set()
    read |= {"method_names"} if "methods" in read else set()
    read |= {"dataset.class_names"} & {f"dataset.{a}" for a in re.findall(r"stage\.(\w+)", text)}
    values = re.findall(r"stage\.value\(f?\"([^\"]+)\"\)", text)
    read |= {value.replace("{kind}", "${item}") for value in values}
    entries = {
        "sr": "${item}",
        "sr_faces": "meta_sr_retrained",
    }
    for kind, section in re.findall(r"stage\.settings\((\w+)(?:, f?\"([^\"]+)\")?\)", text):
        plain = re.sub("([a-z])([A-Z])", r"\1_\2", kind.removesuffix("Settings")).lower()
        entry = entries.get(name, "${key}")
        read.add(re.sub(r"\{[\w.]+\}", entry, section) if section else plain)
    if name == "distill":  # the teacher's
        read = {key.replace("finetune.${key}", "finetune.${item.teachers[1]}") for key in read}
    if name == "sr":  # each network reads its own section
        read = {re.sub(r"^sr\.(rcan|meta_sr)$", "sr.${item}", key) for key in read}
    needed = {"synthesize.${item}" if "synthesize." in key else key for key in read}
    if "dataset" in needed:
        needed -= {"dataset.class_names"}
    if name == "features_hr":  # shares its script with the scales, which alone read this
        needed -= {"downsample"}
    if name == "report":  # shows all values
        needed |= set(declared(name, "settings.json")) - {"dataset.class_names"}
        needed -= {"dataset.class_names"}
    assert set(declared(name, "settings.json")) == needed


def test_patches_of_one_network_train_no_other_again() -> None:
    natural = [key for key in declared("sr", "settings.json") if key.startswith("natural")]
    assert natural == ["natural.${item}_patch_pixels"]
    assert declared("natural", "settings.json") == ["natural.pictures"]


def test_stages_scripts_and_nodes_share_their_names() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert {script_of(name) for name in NODES} == scripts
    assert set(NODES) - {"features_hr"} == scripts


@pytest.mark.parametrize("name", [name for name in NODES if name not in FIRST])
def test_every_output_path_carries_the_profile(name: str) -> None:
    for kind in ("outs", "metrics", "plots"):
        for path in _paths(name, kind):
            assert "/${profile}/" in path or path.endswith("/${item}"), path


def _paths(name: str, kind: str) -> list[str]:
    entries = NODES[name].get(kind, [])
    return [next(iter(e)) if isinstance(e, dict) else e for e in entries]


def test_nothing_that_trains_depends_on_what_test_faces_became() -> None:
    for name in NODES:
        data = [dep for dep in _paths(name, "deps") if dep.startswith("data/")]
        if any("restored" in dep or "predictions" in dep for dep in data):
            assert name in ("evaluate", "report")


def test_no_stage_runs_again_for_the_limits_of_a_review() -> None:
    assert "review" not in effective_values(read_params(ROOT / "params.yaml"))


def test_changing_params_the_way_dvc_does_changes_nothing_else(tmp_path: Path) -> None:
    """DVC rewrites params.yaml for ``-S``; in this form nothing but the value changes."""
    from dvc.utils.serialize import modify_yaml

    text = (ROOT / "params.yaml").read_text()
    copy = tmp_path / "params.yaml"
    copy.write_text(text)
    with modify_yaml(str(copy)) as values:
        values["reweight"]["sigma"] = 2.0
        values["profiles"]["paper"]["fsr"]["iterations"] = 9
    changed = text.replace("  sigma: 1.5 ", "  sigma: 2.0 ", 1)
    assert copy.read_text() == changed.replace("iterations: 150000", "iterations: 9", 1)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code, in whose folder we are."""
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed_by(path: str, old: str, new: str) -> set[str]:
    before = fingerprints()
    text = Path(path).read_text()
    assert text.count(old) >= 1, old
    Path(path).write_text(text.replace(old, new, 1))
    after = fingerprints()
    return {name for name in before if before[name] != after[name]}


def test_comments_docstrings_and_formatting_are_no_code(code: Path) -> None:
    settings = "src/fsr_fer/common/settings.py"
    assert not changed_by(settings, "T = TypeVar", "# a comment\nT = TypeVar")
    assert not changed_by(settings, '"""A condition on a value', '"""What each value must')
    assert not changed_by(settings, "MINIMUM_LR_PIXELS = 4", "MINIMUM_LR_PIXELS =  (4)")
    Path("src/fsr_fer/untracked.py").write_text("X = 1\n")
    assert not changed_by(settings, "FULL_SIZE = 100\n", 'FULL_SIZE = 100\n"""Pixels."""\n')


def test_code_changes_the_stages_that_reach_it_and_no_others(code: Path) -> None:
    everything = set(fingerprints())
    settings, losses = "src/fsr_fer/common/settings.py", "src/fsr_fer/training/losses.py"
    assert changed_by(settings, "FULL_SIZE = 100", "FULL_SIZE = 101") == everything
    assert changed_by(losses, "import torch\n", "import torch\n\nX = 1\n") == {"fsr"}
    assert changed_by("stages/cost.py", "write_json(", "(write_json)(1 and ") == {"cost"}
    own = "src/fsr_fer/training/settings/finetuning.py"  # a field of a training repeats no other
    changed = changed_by(own, "    epochs: PositiveInt", "    years: PositiveInt")
    assert changed == {"settings", "finetune", "distill"}
    kernel = changed_by("src/fsr_fer/resize/kernel.c", "double", "float")
    assert {"downsample", "dataset", "features"} <= kernel < everything


def test_a_stage_that_loads_another_script_is_stopped(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ModuleType("stages.cost")
    other.__file__ = str(code / "stages/cost.py")
    loaded = SimpleNamespace(modules={"stages.cost": other})
    monkeypatch.setattr(code_fingerprint, "sys", loaded)
    require_own_code("cost")
    with pytest.raises(AssertionError, match=r"report loaded stages\.cost unnoticed"):
        require_own_code("report")


def test_the_core_imports_torch_numpy_and_safetensors_only() -> None:
    core = ["resize", "models", "training", "features"]
    allowed = {"torch", "numpy", "safetensors", "fsr_fer"}
    for file in (file for name in core for file in (SRC / name).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for library in {name.split(".")[0] for name in names}:
                assert library in allowed or library in sys.stdlib_module_names, (file, library)
