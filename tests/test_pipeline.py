"""dvc.yaml against the code: what a stage reaches and reads is what it declares."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STUDIES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "studies/dvc.yaml").read_text())[
    "stages"
]
NODES = {name: node.get("do", node) for name, node in (STAGES | STUDIES).items()}

# What a stage may read of a Stage, and the params that stand behind it.
PARAMS_OF = {
    "seed": ["seed"],
    "scales": ["scales"],
    "dataset": ["profiles.${profile}.dataset"],
    "class_names": ["profiles.${profile}.dataset.class_names"],
    "validate": ["profiles.${profile}.validate"],
    "downsample": ["downsample"],
    "pretrain": ["profiles.${profile}.pretrain"],
    "features": ["profiles.${profile}.features"],
    "fsr": ["profiles.${profile}.fsr"],
    "natural": ["profiles.${profile}.natural"],
    "sr": ["profiles.${profile}.sr"],
    "finetune": ["profiles.${profile}.${item}"],
    "finetune_of": ["profiles.${profile}.${item.row}"],
    "studies": ["studies"],
    "validation_every": ["studies.validation_every"],
    "losses": ["losses", "${item.terms}", "profiles.${profile}.losses"],
    "reweight": ["${item.weighting}", "profiles.${profile}.${item.weighting}"],
    "evaluate": ["evaluate"],
    "report": ["report"],
    "synthesize_of": ["profiles.${item}.synthesize"],
    "class_names_of": ["profiles.${item}.dataset.class_names"],
    "effective": [
        *("seed", "scales", "downsample", "losses", "fsr_l2", "reweight", "evaluate", "report"),
        "profiles.${profile}",
    ],
}


def script_of(node: dict[str, Any]) -> Path:
    match = re.match(r"python ((?:stages|studies)/\w+\.py)", node["cmd"])
    assert match, node["cmd"]
    return ROOT / match[1]


def module_file(name: str) -> Path | None:
    path = SRC.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.exists():
            return file
    return None


def imported(file: Path) -> Iterator[Path]:
    """Modules of ours that a file imports when it runs, packages on the way included."""
    tree = ast.parse(file.read_text())
    ignored: set[int] = set()
    for node in ast.walk(tree):
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        on_demand = file == SRC / "fsr_fer/__init__.py" and isinstance(node, ast.FunctionDef)
        if typing_only or on_demand:
            ignored |= {id(child) for child in ast.walk(node)}
    package = file.relative_to(SRC).with_suffix("").parts[:-1] if SRC in file.parents else ()
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "fsr_fer":
                for end in range(1, len(parts) + 1):
                    if found := module_file(".".join(parts[:end])):
                        yield found


def reached(script: Path) -> set[str]:
    """A script, every module of ours behind it, and the data files of their packages."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += imported(file)
    packages = {file.parent for file in seen if SRC in file.parents}
    kinds = (".c", ".csv", ".html")
    data = {file for p in packages for file in p.iterdir() if file.suffix in kinds}
    return {str(f.relative_to(ROOT)) for f in seen | data if f.read_text().strip()}


@pytest.mark.parametrize("name", NODES)
def test_deps_name_exactly_the_code_that_a_stage_reaches(name: str) -> None:
    declared = {
        dep for dep in NODES[name]["deps"] if dep.startswith(("src/", "stages/", "studies/"))
    }
    expected = reached(script_of(NODES[name]))
    assert declared == expected, f"put these under deps of {name}:\n- " + "\n- ".join(
        sorted(expected)
    )


@pytest.mark.parametrize("name", NODES)
def test_params_declare_exactly_what_a_stage_reads(name: str) -> None:
    tree = ast.parse(script_of(NODES[name]).read_text())
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "stage"
        and node.attr in PARAMS_OF
    }
    needed = {param for attribute in read for param in PARAMS_OF[attribute]}
    declared = set(NODES[name]["params"])
    if "profiles.${profile}" in declared:  # the whole profile stands for its sections
        needed = {p for p in needed if not p.startswith("profiles.${profile}.")}
    if name == "features_hr":  # shares its script with the scales, which alone read this
        needed -= {"downsample"}
    if name == "seed_pretrain":  # shares its script with the rows that start from it
        needed -= {"profiles.${profile}.${item.row}"}
    if name in ("seed_rows", "seed_best_ablations"):
        needed -= {"profiles.${profile}.pretrain"}
    if name == "seed_best_ablations":
        needed = {param.replace("${item.row}", "best") for param in needed}
    if name == "seed_fsr":  # trains all variants
        needed |= {param for key in ("losses", "reweight") for param in PARAMS_OF[key]}
        needed = {param.replace("${item.weighting}", "reweight") for param in needed}
        needed = {param.replace("${item.terms}", "fsr_l2") for param in needed}
    if name == "seed_ablations":  # shares its script with them; changes no row but these two
        needed |= {param for key in ("losses", "reweight") for param in PARAMS_OF[key]}
        needed = {param.replace("${item.weighting}", "reweight") for param in needed}
        needed -= {"${item.terms}"}
    if name == "converge":  # trains both variants
        needed = {param.replace("${item.weighting}", "reweight") for param in needed}
        needed -= {"${item.terms}"}
    assert declared == needed


def test_stages_scripts_and_nodes_share_their_names() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")}
    nodes = {name: NODES[name] for name in STAGES}
    assert {script_of(node).stem for node in nodes.values()} == scripts
    assert set(nodes) - {"features_hr"} == scripts


@pytest.mark.parametrize("name", NODES)
def test_every_output_path_carries_the_profile(name: str) -> None:
    for kind in ("outs", "metrics", "plots"):
        for entry in NODES[name].get(kind, []):
            path = next(iter(entry)) if isinstance(entry, dict) else entry
            assert "/${profile}/" in path or path.endswith("/${item}"), path


def test_no_study_lengthens_the_pipeline() -> None:
    made = {out for name in STUDIES for out in _paths(NODES[name], "outs")}
    for name in STAGES:
        assert not made & set(NODES[name]["deps"]), name
    assert all(NODES[name]["wdir"] == ".." for name in STUDIES)


def _paths(node: dict[str, Any], kind: str) -> list[str]:
    return [next(iter(e)) if isinstance(e, dict) else e for e in node.get(kind, [])]


def test_nothing_that_trains_depends_on_what_test_faces_became() -> None:
    for name, node in NODES.items():
        data = [dep for dep in node["deps"] if dep.startswith("data/")]
        if any("features/test" in dep or "predictions" in dep for dep in data):
            assert name in ("evaluate", "report", "convergence")


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_that_never_ran_is_no_error_of_dvc_pull_and_checkout(name: str) -> None:
    node = STUDIES[name].get("do", STUDIES[name])
    for entry in [*node.get("outs", []), *node.get("metrics", []), *node.get("plots", [])]:
        assert isinstance(entry, dict), entry
        assert next(iter(entry.values()))["cache"] is False, entry


@pytest.mark.parametrize("name", NODES)
def test_no_stage_runs_again_for_the_limits_of_a_review(name: str) -> None:
    assert not [param for param in NODES[name]["params"] if param.startswith("review")]


def test_changing_params_the_way_dvc_does_changes_nothing_else() -> None:
    """DVC rewrites params.yaml for ``-S``; in this form nothing but the value changes."""
    from dvc.utils.serialize import modify_yaml

    path = ROOT / "params.yaml"
    text = path.read_text()
    copy = ROOT / "build" / "params.yaml"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(text)
    with modify_yaml(str(copy)) as values:
        values["reweight"]["sigma"] = 2.0
    assert copy.read_text() == text.replace("  sigma: 1.5 ", "  sigma: 2.0 ", 1)


def test_the_core_imports_torch_numpy_and_safetensors_only() -> None:
    core = ["resize", "models", "losses", "training", "features"]
    allowed = {"torch", "numpy", "safetensors", "fsr_fer"}
    import sys

    files = {file for name in core for file in _files(name)}
    for file in sorted(files | {below for top in files for below in _closure(top)}):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for library in {name.split(".")[0] for name in names}:
                # progress.bar loads tqdm only when a stage uses it.
                lazy = file.name == "progress.py" and library == "tqdm"
                known = library in allowed or library in sys.stdlib_module_names
                assert known or lazy, (file, library)


def _files(name: str) -> list[Path]:
    path = SRC / "fsr_fer" / name
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def _closure(file: Path) -> set[Path]:
    return {ROOT / name for name in reached(file) if name.endswith(".py")}
