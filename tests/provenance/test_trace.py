"""`trace`: from a number, a file or a stage back to raw data, now and at past revisions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fsr_fer import cli
from fsr_fer.errors import UserError
from fsr_fer.provenance import rendering
from fsr_fer.provenance.hash_cache import CACHE_FILE, WorkspaceHashes
from fsr_fer.provenance.lineage import Lineage
from fsr_fer.provenance.pipeline import Snapshot
from fsr_fer.provenance.record import write_record
from fsr_fer.provenance.trace import Trace, trace
from fsr_fer.stage import Stage
from tests.provenance.conftest import commit, shell

ROOT = Path(__file__).resolve().parents[2]


def traced(root: Path, words: str, revision: str | None = None) -> Trace:
    return trace(root, words, revision, root)


@pytest.mark.parametrize(
    ("words", "path", "stages", "behind"),
    [
        ("accuracy.plain.x2", "metrics/tiny/accuracy.json", ["report"], 9),
        ("metrics/tiny/accuracy.json:sharp.mean", "metrics/tiny/accuracy.json", ["report"], 9),
        ("check.score", "metrics/tiny/check.json", ["check"], 2),
        ("data/tiny/report/figure.svg", "data/tiny/report/figure.svg", ["report"], 9),
        ("models/tiny/sharp.json", "models/tiny/sharp.json", ["train@sharp"], 5),
        ("metrics/tiny/sharp/g/loss.tsv", "metrics/tiny/sharp/g/loss.tsv", ["train@sharp"], 5),
        ("predictions.sharp.test_3.jpg", "data/tiny/predictions/sharp.csv", ["predict@sharp"], 6),
        ("data/tiny/small", "data/tiny/small", ["shrink@2", "shrink@3"], 4),
        ("shrink", None, ["shrink@2", "shrink@3"], 4),
        ("train@plain", None, ["train@plain"], 5),
        ("data/raw", "data/raw", [], 0),
    ],
)
def test_the_chain_behind_a_thing(
    finished: Path, words: str, path: str | None, stages: list[str], behind: int
) -> None:
    found = traced(finished, words)
    assert found.target.path == path
    assert list(found.target.stages) == stages
    assert len(found.steps) == behind
    assert [file.path for file in found.raw] == ["data/raw"]
    assert found.findings == ()


def test_a_step_has_command_params_inputs_code_and_outputs(finished: Path) -> None:
    (step,) = [s for s in traced(finished, "accuracy.sharp.x2").steps if s.name == "train@sharp"]
    assert step.command == "python stages/step.py data/tiny/small models/tiny/sharp.json"
    assert step.params == {
        "params.yaml": {
            "profiles.tiny.train": {"epochs": 4, "rates": [0.5, 0.002]},
            "sharpen": {"sigma": 0.15, "keep": True},
        }
    }
    (small,) = step.inputs
    assert (small.path, small.nfiles, small.stages) == (
        "data/tiny/small",
        3,
        ("shrink@2", "shrink@3"),
    )
    assert small.md5
    assert [file.path for file in step.code] == ["src/tool.py", "stages/step.py"]
    assert [file.path for file in step.outputs] == ["metrics/tiny/sharp", "models/tiny/sharp.json"]
    assert step.parents == ("shrink@2", "shrink@3")


def test_the_tree_names_everything_once(finished: Path) -> None:
    text = rendering.as_tree(traced(finished, "accuracy.plain.x2"))
    lines = text.splitlines()
    assert lines[0].startswith("accuracy.plain.x2 = ")
    assert max(map(len, lines)) <= 100
    assert sum("shrink@{2,3}" in line and "above" not in line for line in lines) == 1
    for part in (
        "python stages/step.py data/tiny/prepared data/tiny/small/x{2,3}.csv",
        "sharpen: sigma 0.15, keep true",
        "profiles.tiny.train: epochs 4, rates 0.5 0.002",
        "raw data, written by no stage",
        "no run was recorded here",
        "nothing differs",
    ):
        assert any(part in line for line in lines) or part in " ".join(text.split()), part


def test_a_number_of_one_row_shows_that_row_alone(finished: Path) -> None:
    found = traced(finished, "accuracy.sharp.x2")
    assert found.aside == {"predict@plain", "train@plain"}
    assert {"predict@plain", "predict@sharp"} < {step.name for step in found.steps}
    text = rendering.as_tree(found)
    assert "read for other rows and figures, in --json: train@plain, predict@plain" in text
    assert "predictions/plain.csv" not in text
    assert "predictions/sharp.csv" in text
    assert "predict@plain" not in rendering.as_mermaid(found)
    assert json.loads(rendering.as_json(found))["aside"] == ["predict@plain", "train@plain"]


def test_what_is_no_number_of_a_row_shows_all(finished: Path) -> None:
    for words in ("data/tiny/report/figure.svg", "metrics/tiny/accuracy.json", "check.score"):
        assert traced(finished, words).aside == frozenset()


def test_json_and_mermaid(finished: Path) -> None:
    found = traced(finished, "accuracy.plain.x2")
    values = json.loads(rendering.as_json(found))
    assert values["value"] == found.target.value
    assert [stage["name"] for stage in values["stages"]] == [step.name for step in found.steps]
    assert values["differences"] == []
    graph = rendering.as_mermaid(found)
    assert graph.startswith("flowchart TD\n")
    assert '["shrink@{2,3}"]' in graph
    assert "changed" not in graph


def test_differences_concern_the_chain_only(pipeline: Path) -> None:
    (pipeline / "data/tiny/predictions/sharp.csv").write_text("id,label,x2\n")
    assert traced(pipeline, "predictions.plain.test_0.jpg").findings == ()
    found = traced(pipeline, "accuracy.sharp.x2")
    told = [str(finding) for finding in found.findings]
    assert told[0].startswith("data/tiny/predictions/sharp.csv: is not what predict@sharp wrote")
    text = rendering.as_tree(found)
    assert "predict@sharp  << differs" in text
    assert ":::changed" in rendering.as_mermaid(found)


def test_an_edit_that_hides_its_time_is_seen(pipeline: Path) -> None:
    import os

    metric = pipeline / "metrics/tiny/accuracy.json"
    before = metric.stat()
    cache = pipeline / CACHE_FILE
    assert traced(pipeline, "accuracy.plain.x2").findings == ()
    # As if all had been there long enough for its hash to be remembered.
    stamp = f"{metric}|{before.st_size}|{before.st_mtime_ns}|{before.st_ctime_ns}|{before.st_ino}"
    hashes = WorkspaceHashes(pipeline, remember=False)
    content = hashes.content("metrics/tiny/accuracy.json")
    assert content
    cache.write_text(json.dumps({stamp: content.md5}))
    metric.write_text(metric.read_text().replace("mean", "main"))
    os.utime(metric, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert metric.stat().st_size == before.st_size
    assert len(traced(pipeline, "accuracy.plain.x2").findings) == 1


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_hash_cache_is_no_trouble(pipeline: Path, content: str) -> None:
    (pipeline / CACHE_FILE).write_text(content)
    assert traced(pipeline, "accuracy.plain.x2").findings == ()


def test_a_stage_that_never_ran(pipeline: Path) -> None:
    text = (pipeline / "params.yaml").read_text().replace("- 3\n", "- 3\n- 4\n")
    (pipeline / "params.yaml").write_text(text)
    told = "\n".join(map(str, traced(pipeline, "accuracy.plain.x2").findings))
    assert "dvc.lock: has no entry for shrink@4: it has not run" in told
    rendering.as_tree(traced(pipeline, "shrink@4"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("acuracy.plain.x2", "near: accuracy"),
        ("accuracy.plane.x2", "instead of plane.x2: plain, sharp"),
        ("accuracy.plain.x9", "instead of x9: x2, mean"),
        ("predictions.bicubic.a", "no predictions of 'bicubic'; there are plain, sharp"),
        ("predictions.plain.a", "has no face 'a'; the first is test_0.jpg"),
        ("data/tiny/report/other.svg", "there is no such file in data/tiny/report"),
        ("README.md", "'README.md' is neither a metric"),
    ],
)
def test_unknown_words_are_one_clear_line(finished: Path, words: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        traced(finished, words)


def test_past_revisions_and_experiments(pipeline: Path) -> None:
    first = shell(pipeline, "git", "rev-parse", "HEAD").strip()
    shell(pipeline, "dvc", "exp", "run", "-q", "-n", "bold", "-S", "seed=8")
    shell(pipeline, "git", "checkout", "-q", "-f", ".")
    shell(pipeline, "dvc", "checkout", "-q")
    same = traced(pipeline, "accuracy.sharp.x2", "HEAD")
    assert same.findings == ()
    assert same.commit == first

    bold = traced(pipeline, "accuracy.sharp.x2", "bold")
    assert bold.commit in shell(pipeline, "git", "for-each-ref", "refs/exps")
    assert bold.steps[0].params == {"params.yaml": {"seed": 8}}
    told = "\n".join(map(str, bold.findings))
    assert "params.yaml: seed is 7; prepare ran with 8" in told
    assert "command of prepare in the workspace is `python stages/step.py data/raw" in told
    assert "models/tiny/sharp.json: is not what train@sharp wrote" in told
    # Its predictions are in DVC's cache only.
    row = traced(pipeline, "predictions.sharp.test_0.jpg", "bold").target.value
    assert row["id"] == "test_0.jpg"
    with pytest.raises(UserError, match="'brave' is neither a Git revision nor an experiment"):
        traced(pipeline, "accuracy.sharp.x2", "brave")


def test_a_metric_that_was_committed_after_an_edit(pipeline: Path) -> None:
    good = shell(pipeline, "git", "rev-parse", "HEAD").strip()
    metric = pipeline / "metrics/tiny/accuracy.json"
    metric.write_text('{"plain": {"x2": 99.0}}')
    commit(pipeline, "better numbers")
    metric.write_text(shell(pipeline, "git", "show", f"{good}:metrics/tiny/accuracy.json"))
    found = traced(pipeline, "accuracy.plain.x2", "HEAD")
    assert found.target.value == 99.0
    (told,) = map(str, found.findings)
    assert told.startswith("metrics/tiny/accuracy.json: committed with ")
    assert told.endswith("edited after the run")


def record_of(root: Path, name: str) -> Path:
    """Record the run of a stage as the stage itself does."""
    run = Snapshot(root).runs[name]
    stage, _, item = name.partition("@")
    return write_record(
        Stage(
            name=stage,
            item=item or None,
            profile="tiny",
            params=run.params.get("params.yaml", {}),
            deps=tuple(Path(dep.path) for dep in run.deps),
            outs=tuple(Path(out.path) for out in run.outs),
        ),
        started=0.0,
    )


def test_the_record_of_a_run_is_found_again(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (pipeline / "src/tool.py").touch()
    record_of(pipeline, "shrink@2")
    found = traced(pipeline, "accuracy.sharp.x2")
    (step,) = [s for s in found.steps if s.recorded]
    assert step.name == "shrink@2"
    assert step.recorded
    assert step.recorded["git"] == {"commit": found.commit, "uncommitted": []}
    assert step.recorded["packages"]["numpy"]
    text = rendering.as_tree(found)
    assert (
        f"@2 1970-01-01 00:00:00 UTC, {step.recorded['seconds']} s, Git {found.commit[:10]}" in text
    )
    assert "the others not recorded here" in text
    assert "machine A: cpu (" in text

    # Another result is another run: the record does not speak of it.
    (pipeline / "params.yaml").write_text(
        (pipeline / "params.yaml").read_text().replace("1.5e-1", "0.5")
    )
    shell(pipeline, "dvc", "repro", "-q", "shrink@2")
    assert not [s for s in traced(pipeline, "shrink@2").steps if s.recorded]


def test_experiments_in_temporary_folders_record_into_the_main_workspace(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    monkeypatch.chdir(pipeline)
    assert record_of(pipeline, "check").parent == tmp_path / "main/.runs/check"
    assert not (pipeline / ".runs").exists()


@pytest.mark.parametrize("blocked", [False, True])
def test_a_stage_runs_whether_it_can_be_recorded_or_not(tmp_path: Path, blocked: bool) -> None:
    if blocked:
        (tmp_path / ".runs").write_text("in the way")
    (tmp_path / "in.txt").write_text("in")
    program = """\
from pathlib import Path
from fsr_fer.run_stage import run_stage
from fsr_fer.stage import Stage
def main():
    Path("out.txt").write_text("out")
    return Stage("copy", None, "p", {"a": 1.5}, (Path("in.txt"),), (Path("out.txt"),))
run_stage(main)
"""
    environment = {"PATH": str(Path(sys.executable).parent)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert (tmp_path / "out.txt").exists()
    if blocked:
        assert done.stderr.startswith("note: this run was not recorded (")
        assert done.stderr.count("\n") == 1
    else:
        (path,) = (tmp_path / ".runs/copy").glob("*.json")
        record = json.loads(path.read_text())
        assert record["git"] == {"commit": None, "uncommitted": []}
        assert record["outs"] == {"out.txt": "c68271a63ddbc431c307beb7d2918275"}


def test_our_own_pipeline_resolves_as_dvc_does() -> None:
    """dvc.lock may be behind dvc.yaml while somebody works on it, so DVC itself is asked."""
    from dvc.repo import Repo

    snapshot = Snapshot(ROOT)
    stages = {s.name: s for s in Repo(str(ROOT)).index.stages if not s.addressing.endswith(".dvc")}
    assert set(snapshot.definitions) == set(stages)
    for name, stage in snapshot.definitions.items():
        assert stage.cmd == stages[name].cmd
        assert sorted(stage.outs) == sorted(out.def_path for out in stages[name].outs)
        params = [dep for dep in stages[name].deps if hasattr(dep, "params")]
        assert {key for dep in params for key in dep.params} == set(stage.params["params.yaml"])
    lineage = Lineage(snapshot)
    assert [n for n in lineage.order if not lineage.stages[n].further][-1] == "report"
    assert len(lineage.upstream(["fsr@plain"])) == 20
    assert "evaluate@bicubic" not in lineage.upstream(["fsr@plain"])


def fsr_fer(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from fsr_fer import cli\n"
        "try: cli.main()\n"
        "finally: print(*sorted({'dvc', 'numpy', 'torch', 'pandas'} & set(sys.modules)))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=root / "data",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_loads_nothing_slow_and_exits_with_1_on_a_difference(
    pipeline: Path,
) -> None:
    done = fsr_fer(pipeline, "trace", "accuracy.plain.x2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""  # no slow library
    assert fsr_fer(pipeline, "trace", "tiny/report/figure.svg").returncode == 0
    done = fsr_fer(pipeline, "verify")
    assert done.returncode == 0
    assert "9 stages, 19 files and folders: 0 findings" in done.stdout
    done = fsr_fer(pipeline, "verify", "report", "--replay")
    assert done.returncode == 0
    assert "report: metrics/tiny/accuracy.json: same bytes" in done.stdout

    (pipeline / "metrics/tiny/accuracy.json").write_text('{"plain": {"x2": 99.0}}')
    done = fsr_fer(pipeline, "trace", "accuracy.plain.x2")
    assert done.returncode == 1
    assert "metrics/tiny/accuracy.json: is not what report wrote" in " ".join(done.stdout.split())
    assert fsr_fer(pipeline, "verify").returncode == 1
    done = fsr_fer(pipeline, "verify", "report", "--replay")
    assert done.returncode == 1
    assert "accuracy.json: changed (other text, keys, shapes or whole numbers)" in done.stdout
    for words in (["trace", "nothing.here"], ["trace", "report", "--json", "--mermaid"]):
        done = fsr_fer(pipeline, *words)
        assert done.returncode == 1
        assert done.stderr.startswith("fsr-fer: ")
        assert done.stderr.count("\n") == 1


def test_help_of_trace_lists_what_it_understands(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("accuracy.fsr_reweighted.x8", "predictions.fsr_plain", "evaluate@bicubic"):
        assert form in cli.TRACE_HELP
