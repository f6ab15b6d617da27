"""`trace`: from a number, a file or a stage back to raw data, now and at past revisions."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.pipeline.code_fingerprint import fingerprint
from fsr_fer.pipeline.provenance.record import RECORDS, last_runs, record_of, write_record
from fsr_fer.pipeline.provenance.revision import Revision, find_revision
from fsr_fer.pipeline.provenance.trace import as_text, trace
from fsr_fer.pipeline.stage import Stage
from tests.conftest import Run, refused
from tests.pipeline.provenance.conftest import commit, edit, shell
from tests.pipeline.provenance.mutations import read, write


def traced(root: Path, words: str, revision: str = "workspace") -> dict[str, Any]:
    return trace(find_revision(root, revision), words)


def names(found: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in found["stages"]]


FOUR = ["prepare", "check", "shrink@2", "shrink@3"]
ALL = [*FOUR, "train@plain", "predict@plain", "train@sharp", "predict@sharp", "report"]
ACCURACY = "metrics/tiny/accuracy.json"


@pytest.mark.parametrize(
    ("words", "path", "behind"),
    [
        ("accuracy.sharp.x2", ACCURACY, [*FOUR, "train@sharp", "predict@sharp", "report"]),
        ("check.score", "metrics/tiny/check.json", ["prepare", "check"]),
        ("models/tiny/sharp.json", "models/tiny/sharp.json", [*FOUR, "train@sharp"]),
        ("metrics/tiny/sharp/g/loss.tsv", "metrics/tiny/sharp/g/loss.tsv", [*FOUR, "train@sharp"]),
        ("data/tiny/small", "data/tiny/small", FOUR),
        ("shrink", None, FOUR),
        ("train@plain", None, [*FOUR, "train@plain"]),
        ("data/raw", "data/raw", []),
        ("data/tiny/report/figure.svg", "data/tiny/report/figure.svg", ALL),  # of no one method
        (ACCURACY, ACCURACY, ALL),
        ("accuracy", ACCURACY, ALL),
        ("report", None, ALL),
    ],
)
def test_the_chain_behind_a_thing(
    finished: Path, words: str, path: str | None, behind: list[str]
) -> None:
    found = traced(finished, words)
    assert found["path"] == path
    assert names(found) == behind
    as_text(found)


def test_a_path_counts_from_the_current_folder_and_from_the_top(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished / "data")
    for words in ("tiny/report/figure.svg", "data/tiny/report/figure.svg"):
        assert traced(finished, words)["path"] == "data/tiny/report/figure.svg"
        assert traced(finished, words)["readers"] == []
    assert traced(finished, "raw")["readers"] == ["prepare"]  # no stage writes it


def test_the_modules_of_a_stages_code_are_named_from_a_subfolder_too(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("stages/__init__.py", "src/fsr_fer/__init__.py"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    ran = fingerprint("report")
    lock = read(pipeline, "dvc.lock")
    lock["stages"]["report"]["params"]["code.json"] = {"report": ran}
    write(pipeline, "dvc.lock", lock)
    commit(pipeline, "its code")
    edit(pipeline, "stages/report.py", "import json", "# a comment\nimport json")
    monkeypatch.chdir("data")
    files = ["stages/__init__.py", "stages/report.py"]
    code = {"fingerprint": ran, "files": files}
    assert traced(pipeline, "report")["stages"][-1]["code"] == code
    edit(pipeline, "stages/report.py", "import json", "import csv, json")
    assert traced(pipeline, "report", "HEAD")["stages"][-1]["code"] == code
    changed = traced(pipeline, "report")
    assert changed["stages"][-1]["code"] == {"fingerprint": ran, "files": []}
    assert f"  code    {ran}: its code has changed since" in as_text(changed).splitlines()
    shell(pipeline, "git", "rm", "-rqf", "src/fsr_fer", "stages")
    commit(pipeline, "no code")
    assert traced(pipeline, "report", "HEAD")["stages"][-1]["code"]["files"] == []


def test_a_temporary_folder_in_the_project_is_not_taken_for_it(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(pipeline))  # as by TMPDIR
    edit(pipeline, "params.yaml", "scales: [2, 3]", "scales: [2]")
    assert names(traced(pipeline, "shrink")) == ["prepare", "check", "shrink@2"]


def test_a_stage_that_left_dvc_yaml_is_left_out(pipeline: Path) -> None:
    """DVC keeps its entry, though another stage may write the same path now."""
    lock = read(pipeline, "dvc.lock")
    lock["stages"]["predict_faces@sharp"] = lock["stages"]["predict@sharp"]
    write(pipeline, "dvc.lock", lock)
    assert "predict_faces@sharp" not in names(traced(pipeline, "accuracy.sharp.x2"))


def test_a_stage_has_command_params_inputs_code_and_outputs(finished: Path) -> None:
    (stage,) = [s for s in traced(finished, "train@sharp")["stages"] if s["name"] == "train@sharp"]
    assert stage["cmd"] == "python stages/step.py data/tiny/small models/tiny/sharp.json"
    assert stage["params"] == {
        "profiles.tiny.train": {"epochs": 4, "rates": [0.5, 0.002]},
        "sharpen": {"sigma": 0.15, "keep": True},
    }
    small, *code = stage["deps"]
    assert (small["path"], small["nfiles"]) == ("data/tiny/small", 3)
    assert len(small["md5"]) == len("0" * 32 + ".dir")
    assert [dep["path"] for dep in code] == ["src/tool.py", "stages/step.py"]
    assert [o["path"] for o in stage["outs"]] == ["metrics/tiny/sharp", "models/tiny/sharp.json"]
    json.dumps(stage)


def test_the_text_names_everything_once(finished: Path) -> None:
    lines = as_text(traced(finished, "accuracy.plain.x2")).splitlines()
    assert lines[0].startswith("accuracy.plain.x2 = ")
    assert max(map(len, lines)) <= 100
    assert lines.count("shrink@2 3") == 1
    for part in (
        "  in metrics/tiny/accuracy.json",
        "  without other methods' stages, which report reads: fsr-fer trace report",
        "  cmd     python stages/step.py data/tiny/prepared data/tiny/small/x2.csv 2",
        "  params  sharpen.sigma 0.15; sharpen.keep true",
        "  params  other 1; profiles.tiny.train.epochs 4; profiles.tiny.train.rates [0.5, 0.002]",
    ):
        assert part in lines, part
    assert not any("ran " in line for line in lines)


def test_another_tools_number_comes_from_the_faces_and_what_was_imported(pipeline: Path) -> None:
    write(pipeline, ACCURACY, {"tool": {"hr": 50.0}})
    lock = read(pipeline, "dvc.lock")
    lock["stages"]["prepare"]["outs"][0]["path"] = "data/tiny/dataset"
    write(pipeline, "dvc.lock", lock)
    assert traced(pipeline, "accuracy.tool.hr")["imported"] is None
    imported = "data/raw/predictions/tiny/tool.csv"
    (pipeline / imported).parent.mkdir(parents=True)
    write(pipeline, f"{imported}.dvc", {"outs": [{"path": "tool.csv"}]})
    found = traced(pipeline, "accuracy.tool.hr")
    assert (found["value"], found["imported"]) == (50.0, imported)
    assert names(found) == ["prepare", "report"]
    assert f"  another tool's predictions, imported into {imported}" in as_text(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("acuracy.plain.x2", "near: accuracy"),
        ("accuracy.plane.x2", "has no plane.x2; for plane: plain, sharp"),
        ("accuracy.plain.x9", "for x9: x2, mean"),
        ("data/tiny/report/other.svg", "is no value .* path or stage"),
        ("train@sharpe", "near: train@sharp"),
        ("README.md", "'README.md' is no value"),
        ("data/raw/other.csv", "is no value"),
    ],
)
def test_unknown_words_are_one_clear_line(finished: Path, words: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        traced(finished, words)
    assert "\n" not in str(caught.value)


def test_past_revisions_and_experiments(pipeline: Path) -> None:
    first = shell(pipeline, "git", "rev-parse", "HEAD").strip()
    shell(pipeline, "dvc", "exp", "run", "-q", "-n", "bold", "-S", "seed=8")
    shell(pipeline, "git", "checkout", "-q", "-f", ".")
    shell(pipeline, "dvc", "checkout", "-q")
    assert traced(pipeline, "accuracy.sharp.x2", "HEAD")["revision"] == first
    bold = traced(pipeline, "accuracy.sharp.x2", "bold")
    assert bold["revision"] in shell(pipeline, "git", "for-each-ref", "refs/exps")
    assert bold["stages"][0]["params"] == {"seed": 8}
    # Its predictions are in DVC's cache only, those of the report in a folder there.
    revision = find_revision(pipeline, "bold")
    assert revision.output("data/tiny/predictions/sharp.csv").startswith(b"id,label,x2\n")
    assert revision.output("data/tiny/report/figure.svg").startswith(b"<svg>")
    with pytest.raises(UserError, match="'brave' is neither a revision nor an experiment"):
        traced(pipeline, "accuracy.sharp.x2", "brave")


def test_what_nobody_has_any_more_says_how_to_get_it(pipeline: Path) -> None:
    shell(pipeline, "rm", "-r", ".dvc/cache/files", "data/tiny")
    assert names(traced(pipeline, "data/tiny/report")) == ALL  # dvc.lock has it
    with pytest.raises(UserError, match=r"not in DVC's cache; `dvc fetch -A` brings"):
        find_revision(pipeline, "HEAD").output("data/tiny/predictions/sharp.csv")


def record(root: Path, name: str) -> Path:
    """Record the run of a stage as the stage itself does."""
    entry = Revision(root).lock[name]
    return write_record(
        Stage(
            name=name,
            values=entry.get("params", {}).get("settings.json", {}),
            deps=tuple(Path(dep["path"]) for dep in entry["deps"]),
            outs=tuple(Path(out["path"]) for out in entry["outs"]),
            profile="tiny",
            code="",
        ),
        started=0.0,
    )


def test_the_record_of_a_run_is_found_again(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(pipeline, "shrink@2")
    run = {s["name"]: s["run"] for s in traced(pipeline, "report")["stages"]}
    assert [name for name, found in run.items() if found] == ["shrink@2"]
    assert run["shrink@2"]["versions"]["numpy"]
    line = f"  ran     shrink@2: 1970-01-01 00:00:00 UTC, {run['shrink@2']['seconds']} s, cpu, "
    assert line in as_text(traced(pipeline, "report"))
    assert last_runs(pipeline) == {"shrink@2": run["shrink@2"]}
    # Another result, or another input, is another run: the record does not speak of it.
    for kind in ("outs", "deps"):
        entry = json.loads(json.dumps(Revision(pipeline).lock["shrink@2"]))
        assert record_of(pipeline, "shrink@2", entry)
        entry[kind][0]["md5"] = "0" * 32
        assert record_of(pipeline, "shrink@2", entry) is None
    # Experiments in temporary folders record into the main workspace.
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert record(pipeline, "check").parent == tmp_path / "main" / RECORDS / "check"
    assert not (pipeline / RECORDS / "check").exists()


def test_the_command_line_loads_nothing_slow_to_trace(
    finished: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished / "data")
    for slow in ("dvc", "numpy", "torch", "pandas"):
        monkeypatch.setitem(sys.modules, slow, None)
    assert run("trace", "accuracy.plain.x2")[0] == 0
    assert json.loads(run("trace", "check.score", "--json")[1])["value"] > 0


def test_the_command_line_exits_with_1_on_a_difference(
    pipeline: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline / "data")
    code, out, _ = run("verify", "--replay", "report")
    assert code == 0
    assert out.startswith("0 differences\n")
    assert "report again: metrics/tiny/accuracy.json: the same bytes" in out

    (pipeline / "metrics/tiny/accuracy.json").write_text('{"plain": {"x2": 99.0}}')
    code, out, _ = run("verify", "--replay", "report")
    assert code == 1
    assert "metrics/tiny/accuracy.json is not what report wrote\n" in out
    assert "report again: metrics/tiny/accuracy.json: CHANGED" in out
    assert "--replay data/raw: no stage writes it" in run("verify", "--replay", "data/raw")[2]
    assert refused(run("verify", "--replay", "sing")).startswith("fsr-fer: ")
