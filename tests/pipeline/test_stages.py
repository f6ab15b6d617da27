"""The real stage scripts, end to end on a very small profile, and what they say in trouble."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from fsr_fer.pipeline import run_stage
from fsr_fer.pipeline.stage import Stage, _stamps
from tests import ROOT
from tests.pipeline.provenance.conftest import own_environment, shell
from tests.stage_server import stage_server

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
FSR_VARIANTS, FINETUNED, STUDENTS, METHODS = (
    tuple(PARAMS[section]) for section in ("fsr_variants", "finetune", "distill", "methods")
)
RESTORED = ("rcan", "meta_sr", "meta_sr_retrained")
SR_NETWORKS = ("rcan_x2", "rcan_x3", "rcan_x4", "rcan_x8", "meta_sr")


def tiny(params: dict[str, Any]) -> None:
    """Make ``small`` a run of seconds: few faces, one epoch, a handful of iterations."""
    params["scales"] = [2, 8]
    params["report"]["resamples"] = 100
    params["synthesize"] = {"train_faces": 56, "test_faces": 14, "faces_per_subject": 7}
    params["validate"]["minimum_per_class"] = 1
    params["pretrain"]["extractor"] |= {
        "widths": [4, 4, 4, 4, 8, 8],
        "bimap_dim": 8,
        "hidden_dim": 8,
        "embedding_dim": 8,
    }
    params["pretrain"] |= {"epochs": 2, "batch_size": 8, "learning_rate_milestones": [1]}
    params["fsr"]["generator"] |= {"filters": 4, "growth": 2}
    params["fsr"]["discriminator"] |= {"filters": [4, 4]}
    params["fsr"] |= {"iterations": 4, "validation_every": 2, "learning_rate_milestones": [3]}
    for row in FINETUNED:
        params["finetune"][row] |= {"epochs": 1, "batch_size": 8}
    params["pack"] |= {"degraded_sizes": [25]}
    params["natural"] |= {"rcan_patch_pixels": 8, "meta_sr_patch_pixels": 8}
    params["sr"]["rcan"] |= {"blocks": 1, "filters": 4, "reduction": 2}
    params["sr"]["meta_sr"] |= {"filters": 4, "growth": 2, "blocks": 1, "layers": 1, "hidden": 4}
    for row in RESTORED:
        short = {"iterations": 2, "batch_size": 2, "validation_every": 2, "validation_pictures": 2}
        params["sr"][f"{row}_training"] |= short


def workspace(folder: Path) -> Path:
    """A folder the stage scripts can run in: the project's own, with the very small profile."""
    folder.mkdir()
    shutil.copytree(ROOT / "stages", folder / "stages")
    shutil.copy(ROOT / "dvc.yaml", folder)
    os.symlink(ROOT / "src", folder / "src")
    weights = folder / "data/raw/weights"  # its README alone: official weights are not for tests
    weights.mkdir(parents=True)
    shutil.copy(ROOT / "data/raw/weights/README.md", weights)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    tiny(params)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


def run_python(
    folder: Path, *command: str, python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    environment = own_environment() | {"FSR_FER_DEVICE": "cpu"}
    words = [str(python), *command]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def each(script: str, *items: str) -> list[tuple[str, ...]]:
    return [(script, item) for item in items]


def run_all(folder: Path) -> None:
    commands = [
        *[("code",), ("settings",), ("synthesize", "small"), ("natural",), ("dataset",)],
        *[("validate",), ("pretrain",), *each("downsample", "2", "8"), *each("sr", *SR_NETWORKS)],
        *[
            *each("features", "hr", "2", "8"),
            *each("finetune", *FINETUNED),
            *each("distill", *STUDENTS),
        ],
        *[("sr_faces",), *each("restore", *RESTORED), *each("fsr", *FSR_VARIANTS)],
        *[*each("evaluate", *METHODS), ("cost",), ("pack",), ("report",)],
    ]
    with stage_server(folder.parent / "server") as python:
        for script, *items in commands:
            done = run_python(folder, "-m", f"stages.{script}", *items, python=python)
            assert done.returncode == 0, done.stderr
            assert "%|" not in done.stderr  # off a terminal: no progress bars in a log


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished pipeline, to change."""
    return shutil.copytree(finished, tmp_path / "copy", symlinks=True)


def test_the_pipeline_makes_the_table_and_the_page(finished: Path) -> None:
    for name in ("accuracy", "mean_class_accuracy"):
        table = json.loads((finished / f"metrics/small/{name}.json").read_text())
        assert set(table) == set(METHODS)
        for values in table.values():
            assert set(values) == {"hr", "x2", "x8", "mean"}
            assert values["mean"] == pytest.approx((values["x2"] + values["x8"]) / 2, abs=1e-3)
    page = (finished / "data/small/report/index.html").read_text()
    assert "fsr_reweighted" in page
    assert json.loads((finished / "metrics/small/validation.json").read_text())["passed"]
    cost = json.loads((finished / "metrics/small/cost.json").read_text())
    assert set(cost) == set(METHODS)
    assert set(cost["rcan"]["flop_per_face"]) == {"hr", "x2", "x8"}
    assert not list((finished / ".ckpt").rglob("*.safetensors"))
    for curves in ("pretrain", "fsr/plain", "finetune/mixed_resolution", "sr/rcan_x8"):
        assert list((finished / f"metrics/small/{curves}/plots/metrics").rglob("*.tsv"))


def test_a_second_run_from_scratch_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    again = workspace(tmp_path / "again")
    run_all(again)
    for kept in ("metrics", "models", "data/small/predictions"):
        files = sorted(p.relative_to(finished) for p in (finished / kept).rglob("*") if p.is_file())
        assert files
        for file in files:
            assert (finished / file).read_bytes() == (again / file).read_bytes(), file


def test_every_run_is_recorded_with_all_declared_outputs(finished: Path) -> None:
    files = list((finished / ".runs").glob("*/*.json"))
    records = [json.loads(path.read_text()) for path in files]
    names = {path.parent.name for path in files}
    assert len(records) == len(names) == 38
    assert {"synthesize@small", "features_hr", "features@8", "fsr@plain", "report"} <= names
    assert {"finetune@mixed_resolution", "evaluate@mixed_resolution"} <= names
    for record in records:
        assert record["device"] == "cpu"
        assert re.search(r", \d+ cores$", record["machine"])
        assert record["versions"]["torch"]
        assert record["seconds"] > 0
        assert record["outs"]
        assert "missing" not in record["outs"].values()


def torchrun(folder: Path, script: str, *arguments: str) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = ["--log-dir=logs", "-m", f"stages.{script}", *arguments]
    result = run_python(folder, *launcher, *words)
    assert result.returncode == 0, result.stderr
    assert not list((folder / ".ckpt").rglob("*.safetensors"))


def test_features_by_several_processes_are_the_same_bytes(folder: Path) -> None:
    written = folder / "data/small/features/train/x8.npy"
    expected = written.read_bytes()
    written.unlink()
    torchrun(folder, "features", "8")
    assert written.read_bytes() == expected


def test_a_training_by_several_processes_is_that_of_one(folder: Path) -> None:
    path = folder / "models/small/fsr/plain.safetensors"
    alone = load_file(path)
    path.unlink()
    shutil.rmtree(folder / "metrics/small/fsr/plain")
    torchrun(folder, "fsr", "plain")
    shared = load_file(path)
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-3, atol=1e-4)
    assert list((folder / "metrics/small/fsr/plain").rglob("*.tsv"))


@pytest.fixture
def copy_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Run a stage that makes out.txt of in.txt and then something else; its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(run_stage, "require_own_code", lambda script: None)
    source, target = Path("in.txt"), Path("out.txt")
    source.write_text("in")
    Path("link").symlink_to("/moved/cache")
    files = _stamps([source])
    copying = Stage("copy", {"a": 1.5}, (source,), (target,), "p", "", files)
    monkeypatch.setattr(run_stage, "load_stage", lambda name: copying)

    def run(what_else: str) -> int:
        def main(_: Stage) -> None:
            target.write_text("out")
            exec(what_else)

        with pytest.raises(SystemExit) as caught:
            run_stage.run_stage(main)
        return caught.value.code

    return run


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            "raise OSError(28, 'No space left on device', 'metrics/x.tsv')",
            "error: the disk is full: metrics/x.tsv could not be written",
        ),
        (
            "open('link')",
            "error: link leads to /moved/cache, which is not there: has DVC's cache moved",
        ),
        ("open('.').read()", "error: .: Is a directory"),
        ("open('x.npy')", "error: x.npy: no such file; `dvc repro` writes what stages write"),
        ("bytearray(10**15)", "error: out of memory; end other programs"),
        ("import torch; torch.empty(10**15)", "error: out of memory; end other programs"),
        ("raise KeyboardInterrupt", "interrupted; `dvc repro` goes on from here"),
        (
            "Path('in.txt').write_text('new')",
            "error: in.txt has changed while copy ran; `dvc",
        ),
        ("Path('settings.json').touch()", "error: settings.json has changed while copy ran; `dvc"),
    ],
)
def test_a_stage_that_fails_is_one_line_and_not_recorded(
    copy_stage: Callable[[str], int],
    capsys: pytest.CaptureFixture[str],
    failure: str,
    message: str,
) -> None:
    assert copy_stage(failure) == (1 if message.startswith("error") else 130)
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1
    assert not Path(".runs").exists()


def test_a_stage_runs_whether_it_can_be_recorded_or_not(
    copy_stage: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy_stage("") == 0
    (path,) = Path(".runs/copy").glob("*.json")
    assert json.loads(path.read_text())["outs"] == {"out.txt": "c68271a63ddbc431c307beb7d2918275"}
    shutil.rmtree(".runs")
    Path(".runs").write_text("in the way")
    assert copy_stage("") == 0
    assert re.fullmatch(r"note: this run was not recorded \(.+\)\n", capsys.readouterr().err)


def test_a_stage_that_loaded_other_code_unnoticed_is_not_recorded(
    copy_stage: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(script: str) -> None:
        raise AssertionError(f"{script} loaded it unnoticed")

    monkeypatch.setattr(run_stage, "require_own_code", refuse)
    with pytest.raises(AssertionError, match="loaded it unnoticed"):
        copy_stage("")
    assert not Path(".runs").exists()


def test_dvc_repro_killed_with_all_below_it_and_typed_again(folder: Path) -> None:
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["fsr"] |= {"iterations": 60, "validation_every": 2}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    assert run_python(folder, "-m", "stages.settings").returncode == 0
    weights = folder / "models/small/fsr/plain.safetensors"
    curves = folder / "metrics/small/fsr/plain/plots/metrics"
    assert run_python(folder, "-m", "stages.fsr", "plain").returncode == 0
    expected = weights.read_bytes(), [p.read_bytes() for p in sorted(curves.rglob("*.tsv"))]
    weights.unlink()
    environment = own_environment() | {"FSR_FER_DEVICE": "cpu"}
    shell(folder, "dvc", "init", "--no-scm", "-q")
    command = ["dvc", "repro", "-s", "fsr@plain"]  # settings.json and code.json lie there
    process = subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not list((folder / ".ckpt").rglob("state.safetensors")) and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not weights.exists()
    shell(folder, "env", "FSR_FER_DEVICE=cpu", *command)
    assert weights.read_bytes() == expected[0]
    assert [p.read_bytes() for p in sorted(curves.rglob("*.tsv"))] == expected[1]
    assert yaml.safe_load((folder / "dvc.lock").read_text())["stages"].keys() == {"fsr@plain"}
