"""What a user meets at the command line: help, one-line errors, exit codes, an import with DVC."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsr_fer import load
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import exclusive
from fsr_fer.data import importing
from fsr_fer.pipeline import dvc_tracking as tracking
from tests import ROOT
from tests.conftest import Run, refused
from tests.data.raw_faces import CLASSES, write_csv, write_rafdb
from tests.evaluation.test_onnx_file import packed
from tests.pipeline.provenance.conftest import commit, git_init, shell


@pytest.fixture
def params() -> dict[str, Any]:
    """The project's own params, with the classes of the small test faces."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    for profile in values["profiles"].values():
        if "dataset" in profile:
            profile["dataset"]["class_names"] = list(CLASSES)
    return values


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What commands hand to DVC, which is not asked."""
    handed: list[Path] = []
    monkeypatch.setattr(tracking, "track_with_dvc", lambda file, **_: handed.append(file))
    return handed


@pytest.fixture
def project(
    tmp_path: Path, params: dict[str, Any], tracked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project in which DVC is not asked; the current folder is one below its top."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / "below").mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    git_init(root)
    commit(root, "first")
    monkeypatch.chdir(root / "below")
    return root


def test_help_imports_nothing_slow() -> None:
    program = "import sys; from fsr_fer import cli; print(*sys.modules)"
    modules = shell(ROOT, sys.executable, "-c", program).split()
    slow = {"torch", "dvc", "pandas", "great_expectations", "matplotlib", "PIL", "yaml", "numpy"}
    slow |= {"onnxruntime"}
    assert not slow & set(modules)


def test_help_lists_each_command_under_what_it_is_for(run: Run) -> None:
    assert run("--version")[1].startswith("fsr-fer 0.")
    out = run("--help")[1]
    _, use, pipeline, review = re.split(
        r"\n(?:Use a model|Run the pipeline|Review results):\n", out
    )
    assert re.findall(r"^  (\w+) ", use, re.M) == ["predict", "serve", "export"]
    names = re.findall(r"^  (\w+) ", pipeline, re.M)
    assert names == ["import", "check", "repro", "studies", "weights", "predictions"]
    assert re.findall(r"^  (\w+) ", review, re.M) == ["summary", "trace", "verify", "diff"]


def test_help_cuts_no_summary_short(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    said = {}
    for group in ("", "predictions", "weights"):
        said[group] = " ".join(run(*group.split(), "--help")[1].split())
        assert "..." not in said[group].partition("[ARGS]...")[2]
    assert "in parallel, and print the main table." in said[""]
    assert (
        "faces Write the test faces for another tool: SIZE/ID.png in their own pixels, and"
        in (said["predictions"])
    )


def test_an_export_is_a_model_that_predict_reads(project: Path, run: Run, tmp_path: Path) -> None:
    target = tmp_path / "my model.onnx"
    missing = "fsr-fer: models/small/packed.safetensors is not there; `dvc repro pack` makes it"
    expected = f"{missing} where params.yaml has profile: small\n"
    assert refused(run("export", target)) == expected
    mean = {"pool_after": (1, 3), "pooling": "mean", "bimap_dim": 4, "widths": (4, 6, 8, 16)}
    packed(project / "models/small/packed.safetensors", **mean)
    code, out, _ = run("export", target, "--licence", "research")
    assert (code, load(target).class_names) == (0, ("a", "b", "c"))
    assert out == f"wrote {target}: fsr-fer predict --model '{target}' PICTURES\n"
    assert "exists already; add --force to replace it" in run("export", target)[2]
    os.mkfifo(tmp_path / "pipe")
    for no_file in (tmp_path, tmp_path / "pipe", "", "-", "packed.safetensors"):
        assert "is no name of a model file" in run("export", no_file, "--force")[2]
    link = tmp_path / "link.onnx"
    link.symlink_to("behind.onnx")
    assert run("export", link)[0] == 0
    assert link.is_symlink()
    assert load(tmp_path / "behind.onnx").class_names == ("a", "b", "c")
    err = refused(run("export", target, "--profile", "none"))
    assert err.startswith("fsr-fer: params.yaml has no profile 'none'; it has small")


def test_a_variable_that_is_not_set_is_no_answer(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["--annotate", ""], ["--output="], ["--profile", ""]):
        said = f"{words[0].rstrip('=')} is followed by nothing; is a variable unset?"
        assert said in refused(run("predict", *words, "a.png"))
    assert not os.listdir()


def test_an_import_says_what_came_and_what_is_next(project: Path, run: Run, tmp_path: Path) -> None:
    code, out, err = run("import", "csv", write_csv(tmp_path / "csv"))
    assert (code, err) == (0, "")
    assert "imported 18 faces of 6 known people into data/raw/open_faces" in out
    assert "(train 12, test 6)" in out
    assert "dvc exp run -S profile=open_faces" in out
    assert (project / "data/raw/open_faces/labels.csv").is_file()


def test_faulty_faces_are_one_line_and_code_1(project: Path, run: Run, tmp_path: Path) -> None:
    csv_folder = write_csv(tmp_path / "csv")
    (csv_folder / "images/train0.png").write_text("a text")
    err = refused(run("import", "csv", csv_folder))
    assert "nothing was imported: 1 problem, listed in import-problems.csv" in err
    assert (project / "below/import-problems.csv").is_file()
    assert not (project / "data/raw/open_faces").exists()


@pytest.mark.parametrize(
    ("words", "expected", "message"),
    [
        (["csv", "nowhere"], 1, "nowhere does not exist"),
        (["csv", ".", "--profile", "mine"], 1, "'mine' with dataset.source: csv; it has small (sy"),
        (["csv", ".", "--profile", "paper"], 1, "no profile 'paper' with dataset.source: csv"),
        (["folder", "."], 1, "is empty"),
        (["jpeg", "."], 2, "Usage"),
        (["csv"], 2, "Usage"),
        (["folder", ""], 2, "Usage"),
        (["folder", ".", "--frce"], 2, "Usage"),
    ],
)
def test_mistakes_have_their_exit_code(
    project: Path, run: Run, words: list[str], expected: int, message: str
) -> None:
    code, out, err = run("import", *words)
    assert (code, out) == (expected, "")
    assert message in err
    assert code == 2 or err.count("\n") == 1


def test_a_typo_in_params_is_named(project: Path, run: Run, params: dict[str, Any]) -> None:
    assert run("check")[0] == 0
    params["reweight"]["sigmma"] = 2.0
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    for words in (["check"], ["import", "csv", "."]):
        assert "params.yaml: reweight.sigmma is not a known key" in refused(run(*words))


def test_a_lock_file_that_dvc_cannot_read_is_told(project: Path, run: Run) -> None:
    lock = project / "dvc.lock"
    whole = "schema: '2.0'\nstages:\n  validate:\n    cmd: python\n"
    for left in ("schema: '2", "schema: '2.0'\nstages:", whole.removesuffix(": python\n")):
        lock.write_text(left)
        code, _, err = run("check")
        assert (code, err.count("\n")) == (1, 1), left
        assert "git checkout dvc.lock" in err
    lock.write_text(whole)
    assert run("check")[0] == 0
    lock.write_text(whole.replace("  validate:", "<<<<<<< HEAD\n  validate:"))
    err = run("check")[2]
    assert "line 3: a merge left conflict markers" in err  # and no word of throwing it away
    assert "checkout" not in err


def test_without_git_check_says_what_dvc_would_refuse(project: Path, run: Run) -> None:
    shutil.rmtree(project / ".git")
    err = refused(run("check"))
    assert "Git does not answer: not a git repository" in err
    assert "`git init` and `git add --all" in err
    git_init(project)
    assert "Git does not answer: it has no commit; where" in refused(run("check"))


def results(project: Path, content: str) -> None:
    path = project / "metrics/small/accuracy.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"bicubic": 3}', '{"bicubic": {"hr": NaN}}'])
def test_a_damaged_result_file_is_one_line(project: Path, run: Run, content: str) -> None:
    results(project, content)
    assert "metrics/small/accuracy.json" in refused(run("summary"))


def test_the_summary_says_where_the_report_is_and_whether_it_is_there(
    project: Path, run: Run
) -> None:
    results(project, '{"bicubic": {"hr": 50.0}}')
    last = "Report with intervals, figures and params: data/small/report/index.html"
    assert run("summary")[1].endswith(f"{last} (not here: `dvc pull`, or `make repro`)\n")
    (project / "data/small/report").mkdir(parents=True)
    (project / "data/small/report/index.html").touch()
    assert run("summary")[1].endswith(f"{last}\n")


def test_a_terminal_without_a_character_gets_another(project: Path) -> None:
    results(project, json.dumps({"m\u00e9thode \u2192": {"hr": 50.0, "mean": 40.0}}))
    out = subprocess.check_output(
        [sys.executable, "-c", "from fsr_fer import cli; cli.main()", "summary"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        cwd=project,
    )
    assert "m\u00e9thode ?".encode("latin-1") in out


def test_outside_a_project(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is not inside the project" in refused(run("import", "csv", "."))


@pytest.mark.parametrize(
    ("module", "name"), [(importing, "import_faces"), (tracking, "track_with_dvc")]
)
def test_ctrl_c_is_one_line_and_leaves_no_faces_that_dvc_does_not_know(
    project: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, interrupted)
    said = run("import", "rafdb", write_rafdb(tmp_path / "rafdb"))
    assert said == (130, "", "fsr-fer: stopped; run the same command again\n")
    assert not (project / "data/raw/paper").exists()


def test_dvc_tracks_an_import_and_never_pushes_licensed_faces(
    tmp_path: Path, params: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    shutil.copy(ROOT / ".gitignore", root)  # DVC looks for imports where Git ignores nothing
    shell(root, "git", "init", "-q")
    shell(root, "dvc", "init", "-q")
    monkeypatch.chdir(root)
    code, _, err = run("import", "rafdb", write_rafdb(tmp_path / "rafdb"))
    assert (code, err) == (0, "")
    assert "data/raw/paper.dvc" in shell(root, "dvc", "dag")
    (entry,) = yaml.safe_load((root / "data/raw/paper.dvc").read_text())["outs"]
    assert (entry["path"], entry["nfiles"], entry["push"]) == ("paper", 2, False)
    with exclusive(root / ".runs/import", "an import"):
        assert "an import is already running" in refused(run("import", "rafdb", tmp_path / "rafdb"))
    (root / "table.csv").write_text("a\n")
    with monkeypatch.context() as patched:
        patched.setattr("dvc.output.Output.changed_cache", lambda *_, **__: True)
        with pytest.raises(UserError, match=r"table\.csv is there, but .*; is the disk full\?"):
            tracking.track_with_dvc(root / "table.csv", root=root, push=True)
    assert not (root / "table.csv.dvc").exists()
    (root / "dvc.yaml").write_text("stages: wrong\n")
    with pytest.raises(UserError, match=r"DVC does not track it: `dvc add data/raw/paper` says"):
        tracking.track_with_dvc(root / "data/raw/paper", root=root, push=True)


@pytest.fixture
def faces_there(project: Path) -> Path:
    """Two test faces and the profile's small ones, as the stages leave them."""
    import numpy as np

    data = project / "data/small"
    for name, side in (("dataset/images", 100), *((f"downsample/x{s}", 8) for s in range(2, 9))):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(data / f"{name}.npy", np.zeros((2, side, side, 3), np.uint8))
    rows = "".join(f"{i}.png,,test,fear,,{i}\n" for i in range(2))
    (data / "dataset/manifest.csv").write_text(f"id,source,split,label,subject,sha256\n{rows}")
    return data


def test_another_tools_predictions_are_imported_once_and_replaced_on_demand(
    faces_there: Path, project: Path, tmp_path: Path, run: Run, tracked: list[Path]
) -> None:
    code, out, err = run("predictions", "faces", tmp_path / "faces")
    assert (code, err) == (0, "")
    assert f"wrote 2 test faces at 8 sizes into {tmp_path / 'faces'}\n" in out
    assert (tmp_path / "faces/x8/0.png.png").is_file()
    refused(run("predictions", "faces", tmp_path / "faces"))

    table = tmp_path / "tool.csv"
    table.write_text("id,size,label\n0.png,hr,angry\n1.png,hr,fear\n")
    words = ("predictions", "import", table, "--name", "tool")
    code, out, err = run(*words)
    target = project / "data/raw/predictions/small/tool.csv"
    assert (code, err, tracked) == (0, "", [target])
    assert "imported 2 faces at hr into data/raw/predictions/small/tool.csv\nnote: sizes" in out
    assert "dvc exp run -S profile=small report" in out
    first = "id,label,hr,sha256\n0.png,fear,anger,0\n1.png,fear,fear,1\n"
    assert target.read_text() == first
    assert run(*words)[0] == 0  # the same again is no conflict
    table.write_text(table.read_text().replace("angry", "fear"))
    assert "already holds other predictions" in refused(run(*words))
    assert target.read_text() == first
    assert run(*words, "--force")[0] == 0
    assert target.read_text() == first.replace("anger", "fear")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--name", "tool"], "nowhere is no file"),
        (["table", "--name", "rcan"], "--name rcan is a method of params.yaml"),
        (["table", "--name", "a.b"], "--name 'a.b': expected letters"),
        (["table", "--name", "../a"], "--name '../a': expected letters"),
        (["table", "--name", "tool", "--profile", "mine"], "no profile 'mine'; it has small, "),
        (["table", "--name", "tool", "--profile", "paper"], "manifest.csv is not here: `dvc pull`"),
        (["table", "--name", "tool"], "table: its first line is 'no table'"),
    ],
)
def test_predictions_that_cannot_be_imported_are_one_line(
    faces_there: Path, project: Path, run: Run, words: list[str], message: str
) -> None:
    Path("table").write_text("no table")
    assert message in refused(run("predictions", "import", *words))
    assert not (project / "data/raw").exists()


def test_an_import_beside_faces_that_were_not_pulled_is_refused(
    project: Path, tmp_path: Path, run: Run
) -> None:
    raw = project / "data/raw"
    raw.mkdir(parents=True)
    (raw / "paper.dvc").write_text("outs: []\n")
    faces = write_rafdb(tmp_path / "rafdb")
    assert "`dvc pull data/raw/paper.dvc` brings them" in refused(run("import", "rafdb", faces))
    assert not (raw / "paper").exists()
    assert run("import", "rafdb", faces, "--force")[0] == 0


def test_weights_are_imported_and_not_in_place_of_those_not_pulled(
    project: Path, tmp_path: Path, run: Run, tracked: list[Path]
) -> None:
    import torch

    from tests.models import published

    shapes = published.rcan(3, groups=1, blocks=1, f=4, reduction=2)
    torch.save(published.filled(shapes, 0), tmp_path / "rcan.pt")
    words = ("weights", "import", "rcan", tmp_path / "rcan.pt")
    target = project / "data/raw/weights/rcan_x3.safetensors"
    code, out, _ = run(*words)
    assert (code, tracked, target.is_file()) == (0, [target], True)
    assert "rcan_x3" in out
    target.with_name("rcan_x3.safetensors.dvc").touch()
    target.unlink()  # as in a clone before `dvc pull`
    assert "is tracked but not here: `dvc pull" in refused(run(*words))
    assert run(*words, "--force")[0] == 0
    assert target.is_file()
