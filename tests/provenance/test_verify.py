"""`verify`: silent about a pipeline nobody touched, and not about any that somebody did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fsr_fer.errors import UserError
from fsr_fer.provenance.pipeline import Snapshot
from fsr_fer.provenance.replay import CHANGED, CLOSE, SAME, compare, replay
from fsr_fer.provenance.trace import trace
from fsr_fer.provenance.verify import verify
from tests.provenance.conftest import commit, shell
from tests.provenance.mutations import all_mutations, chosen, read, relock, write

MUTATIONS = 100


def findings(root: Path, *targets: str) -> list[str]:
    return [str(finding) for finding in verify(root, targets, root).findings]


def test_an_untouched_pipeline_has_no_findings(finished: Path) -> None:
    verdict = verify(finished, [], finished)
    assert verdict.findings == ()
    assert len(verdict.stages) == 9
    assert verdict.committed_only == ("check",)  # a plain output outside DVC's cache: no run cache


def test_a_fresh_clone_with_data_and_without_run_cache_has_no_findings(
    pipeline: Path, tmp_path: Path
) -> None:
    shutil.rmtree(pipeline / ".dvc/cache/runs")
    clone = tmp_path / "clone"
    shell(tmp_path, "git", "clone", "-q", str(pipeline), str(clone))
    shell(clone, "dvc", "cache", "dir", "--local", str(pipeline / ".dvc/cache"))
    shell(clone, "dvc", "checkout", "-q")
    verdict = verify(clone, [], clone)
    assert verdict.findings == ()
    assert verdict.committed_only == verdict.stages


def test_each_of_100_mutations_is_caught(finished: Path, tmp_path: Path) -> None:
    mutations = chosen(finished, MUTATIONS, seed=666)
    assert len(mutations) == MUTATIONS
    missed = []
    for number, (name, apply) in enumerate(mutations):
        root = tmp_path / str(number)
        shutil.copytree(finished, root, symlinks=True)
        apply(root)
        try:
            caught = bool(verify(root, [], root).findings)
        except UserError:  # the command line prints it and exits with 1
            caught = True
        if not caught:
            missed.append(name)
        shutil.rmtree(root)
    assert missed == []


def test_mutations_are_of_every_kind(finished: Path) -> None:
    kinds = all_mutations(finished)
    names = {name for name, _ in chosen(finished, MUTATIONS, seed=666)}
    for kind, mutations in kinds.items():
        known = {name for name, _ in all_mutations(finished)[kind]}
        assert len(names & known) >= min(3, len(mutations)), kind


STUDY = """\
vars:
- ../params.yaml
stages:
  repeat:
    foreach: ${scales}
    do:
      wdir: ..
      cmd: python stages/step.py models/${profile}/plain.json data/${profile}/study/${item}.csv
      deps:
      - stages/step.py
      - models/${profile}/plain.json
      outs:
      - data/${profile}/study/${item}.csv:
          cache: false
"""


def test_a_pipeline_beside_the_main_one_counts_once_it_has_run(pipeline: Path) -> None:
    (pipeline / "studies").mkdir()
    (pipeline / "studies/dvc.yaml").write_text(STUDY)
    assert verify(pipeline, [], pipeline).findings == ()
    shell(pipeline, "dvc", "repro", "-q", "studies/dvc.yaml:repeat@2")
    commit(pipeline, "half a study")
    verdict = verify(pipeline, [], pipeline)
    assert verdict.findings == ()
    assert "repeat@2" in verdict.stages
    assert "repeat@3" not in verdict.stages
    (pipeline / "data/tiny/study/2.csv").write_text("a,b\n")
    (finding,) = verify(pipeline, [], pipeline).findings
    assert str(finding).startswith("data/tiny/study/2.csv: is not what repeat@2 wrote")
    found = trace(pipeline, "data/tiny/study/2.csv", None, pipeline)
    assert [step.name for step in found.steps][-2:] == ["train@plain", "repeat@2"]
    assert len(found.findings) == 1
    (pipeline / "data/tiny/study/2.csv").unlink()  # as in a clone
    verdict = verify(pipeline, [], pipeline)
    assert (verdict.findings, verdict.left_out) == ((), ("repeat@2",))


@pytest.mark.parametrize("change", ["other params", "stale entry", "repeated dep"])
def test_what_concerns_no_stage_is_no_finding(pipeline: Path, change: str) -> None:
    if change == "other params":
        text = (pipeline / "params.yaml").read_text()
        (pipeline / "params.yaml").write_text(text.replace("epochs: 400", "epochs: 500"))
    elif change == "stale entry":
        lock = read(pipeline, "dvc.lock")
        lock["stages"]["shrink@9"] = lock["stages"]["shrink@2"]
        write(pipeline, "dvc.lock", lock)
    else:
        (pipeline / "data/tiny/prepared/left.part").write_text("DVC ignores it")
    assert findings(pipeline) == []


def test_findings_say_what_where_and_what_it_means(pipeline: Path) -> None:
    metric = pipeline / "metrics/tiny/accuracy.json"
    metric.write_text(metric.read_text().replace("mean", "main"))
    (pipeline / "src/tool.py").write_text("FACTOR = 4\n")
    text = (pipeline / "params.yaml").read_text().replace("1.5e-1", "0.2")
    (pipeline / "params.yaml").write_text(text)
    (pipeline / "data/tiny/report/figure.svg").write_text("<svg>")
    (pipeline / "models/tiny/sharp.json").unlink()
    told = "\n".join(findings(pipeline))
    assert "metrics/tiny/accuracy.json: is not what report wrote: " in told
    assert "src/tool.py: changed since prepare, shrink@2, shrink@3, train@plain and 1 more" in told
    assert (
        "params.yaml: sharpen.sigma is 0.2; shrink@2, shrink@3, train@sharp ran with 0.15" in told
    )
    assert "data/tiny/report: is not what report wrote: " in told
    assert "in dvc.lock; in it: figure.svg" in told
    assert "models/tiny/sharp.json: is not here; `dvc checkout` or `dvc pull`" in told
    assert len(told.splitlines()) == 5


def test_targets_limit_what_is_checked(pipeline: Path) -> None:
    (pipeline / "models/tiny/sharp.json").write_text("{}")
    assert findings(pipeline, "models/tiny/plain.json") == []
    assert len(findings(pipeline, "predict@sharp")) == 1
    assert len(findings(pipeline, "accuracy.plain.x2")) == 1


def test_raw_data_is_a_target_too(pipeline: Path) -> None:
    assert findings(pipeline, "data/raw") == []
    (pipeline / "data/raw/one.txt").write_text("won")
    (told,) = findings(pipeline, "data/raw")
    assert told.startswith("data/raw: is not the data that its .dvc file names")
    shell(pipeline, "dvc", "add", "-q", "data/raw")
    assert findings(pipeline, "data/raw") == ["data/raw: changed since prepare read it"]


def test_a_run_of_the_pipeline_with_other_params_is_no_finding(pipeline: Path) -> None:
    text = (pipeline / "params.yaml").read_text().replace("1.5e-1", "0.3")
    (pipeline / "params.yaml").write_text(text)
    assert findings(pipeline)
    shell(pipeline, "dvc", "repro", "-q")
    assert findings(pipeline) == []


def test_a_result_forged_with_its_lock_is_contradicted_by_the_run_cache(pipeline: Path) -> None:
    metric = pipeline / "metrics/tiny/accuracy.json"
    metric.write_text('{"plain": {"x2": 99.0, "mean": 99.0}}')
    relock(pipeline)
    (told,) = findings(pipeline)
    assert told.startswith("dvc.lock: the entry of report contradicts DVC's run cache and dvc.lock")
    assert "`fsr-fer verify report --replay` tells" in told


def test_a_forgery_committed_where_nobody_remembers_is_caught_by_replay_alone(
    pipeline: Path,
) -> None:
    metric = pipeline / "metrics/tiny/accuracy.json"
    metric.write_text('{"plain": {"x2": 99.0, "mean": 99.0}}')
    relock(pipeline)
    shutil.rmtree(pipeline / ".dvc/cache/runs")
    commit(pipeline, "better numbers")
    assert findings(pipeline) == []
    outcomes = {result.path: result.outcome for result in replay(pipeline, ["report"], 1e-4)}
    assert outcomes == {"data/tiny/report": SAME, "metrics/tiny/accuracy.json": CHANGED}


def test_a_replay_of_everything_gives_the_same_bytes_and_leaves_the_workspace(
    finished: Path,
) -> None:
    before = shell(finished, "git", "status", "--porcelain", "--ignored")
    names = list(Snapshot(finished).definitions)
    results = list(replay(finished, names, 1e-4))
    assert {result.outcome for result in results} == {SAME}
    assert {result.stage for result in results} == set(names)
    assert shell(finished, "git", "status", "--porcelain", "--ignored") == before


def test_a_replayed_command_that_fails_says_what_it_said(pipeline: Path) -> None:
    (pipeline / "stages/report.py").write_text("raise SystemExit('no ink')\n")
    with pytest.raises(UserError, match=r"replay of report: `.*report.py` ended with 1: no ink"):
        list(replay(pipeline, ["report"], 1e-4))


def test_numbers_are_compared_within_the_tolerance(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    def json_file(path: Path, factor: float) -> None:
        path.write_text(json.dumps({"a": [90.0 * factor, 3]}))

    def csv_file(path: Path, factor: float) -> None:
        path.write_text(f"id,value\nx,{90.0 * factor!r}\n")

    def npy_file(path: Path, factor: float) -> None:
        np.save(path, np.full((3, 2), 5 * factor, np.float32))

    def safetensors_file(path: Path, factor: float) -> None:
        save_file({"w": np.full(4, factor, np.float32), "n": np.arange(3)}, path)

    for suffix, make in {
        "json": json_file,
        "csv": csv_file,
        "npy": npy_file,
        "safetensors": safetensors_file,
    }.items():
        before, after = tmp_path / f"before.{suffix}", tmp_path / f"after.{suffix}"
        make(before, 1.0)
        for factor, outcome in ((1.0, SAME), (1.00001, CLOSE), (1.01, CHANGED)):
            make(after, factor)
            found, detail = compare(before, after, 1e-4, tmp_path)
            assert found == outcome, (suffix, factor)
            assert bool(detail) == (outcome != SAME)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.json", '{"n": 100000}', '{"n": 100001}'),  # whole numbers are counts and labels
        ("a.json", '{"n": 1.0}', '{"m": 1.0}'),
        ("a.json", '{"n": true}', '{"n": 1.0}'),
        ("a.json", '{"n": 1.0}', "{"),
        ("a.csv", "x,happy\n", "x,sad\n"),
        ("a.csv", "x,1.0\n", "x,1.0\ny,1.0\n"),
        ("a.json", '{"n": 1.0}', '{"n": NaN}'),
        ("a.svg", "1.0", "1.00001"),
    ],
)
def test_what_is_no_close_number_is_changed(
    tmp_path: Path, name: str, before: str, after: str
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / name).write_text(before)
    (tmp_path / "new" / name).write_text(after)
    assert compare(tmp_path / "old" / name, tmp_path / "new" / name, 1e-4, tmp_path)[0] == CHANGED
    outcome, detail = compare(tmp_path / "old", tmp_path / "new", 1e-4, tmp_path)
    assert outcome == CHANGED
    assert name in detail


def test_a_damaged_lock_is_a_users_mistake(pipeline: Path) -> None:
    lock = pipeline / "dvc.lock"
    text = lock.read_text()
    lock.write_text(
        text[: text.index("  shrink@2")] + "  shrink@2:\n    cmd: x\n    deps:\n    - p"
    )
    with pytest.raises(UserError, match=r"dvc\.lock"):
        findings(pipeline)
    lock.unlink()
    assert findings(pipeline) == ["dvc.lock: is not here; nothing has run yet: `dvc repro`"]
