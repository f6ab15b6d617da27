"""`verify`: silent about a pipeline nobody touched, and not about any that somebody did."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import exclusive
from fsr_fer.pipeline.git import git_refusal
from fsr_fer.pipeline.provenance.replay import replay
from fsr_fer.pipeline.provenance.revision import Revision
from fsr_fer.pipeline.provenance.verify import _left, verify
from tests import ROOT
from tests.conftest import Run, refused
from tests.pipeline.provenance.conftest import commit, edit, init, interrupt, shell
from tests.pipeline.provenance.mutations import chosen, read, relock, write
from tests.pipeline.provenance.test_trace import record
from tests.pipeline.test_params import refresh


def verdict(root: Path) -> tuple[list[str], list[str]]:
    with contextlib.chdir(root):
        return verify(root)


def findings(root: Path) -> list[str]:
    return verdict(root)[0]


def test_neither_an_untouched_pipeline_nor_its_clone_without_run_cache_has_findings(
    pipeline: Path, tmp_path: Path
) -> None:
    assert verify(pipeline) == ([], [])
    shutil.rmtree(pipeline / ".dvc/cache/runs")
    clone = tmp_path / "clone"
    shell(tmp_path, "git", "clone", "-q", str(pipeline), str(clone))
    shell(clone, "dvc", "cache", "dir", "--local", str(pipeline / ".dvc/cache"))
    shell(clone, "dvc", "checkout", "-q")
    assert verdict(clone) == ([], [])
    # Nor does it need the cache: what counts are the files.
    shutil.rmtree(pipeline / ".dvc/cache/files")
    assert verdict(clone) == ([], [])
    (clone / "models/tiny/plain.json").write_text("{}")
    assert "models/tiny/plain.json is not what train@plain wrote" in findings(clone)


def test_each_of_100_mutations_is_caught(finished: Path, tmp_path: Path) -> None:
    mutations = chosen(finished, 100, seed=666)
    assert len(mutations) == 100
    assert findings(finished) == []  # and its copies know how DVC resolves what is not mutated
    missed = []
    root = tmp_path / "pipeline"
    for name, apply in mutations:
        shutil.copytree(finished, root, symlinks=True)
        apply(root)
        with contextlib.suppress(UserError):  # the command line prints it and exits with 1
            missed += [] if findings(root) else [name]
        shutil.rmtree(root)
    assert missed == []


def test_results_newer_than_head_are_a_note(pipeline: Path) -> None:
    edit(pipeline, "params.yaml", "1.5e-1", "0.3")
    assert findings(pipeline)
    shell(pipeline, "dvc", "repro", "-q")
    told, newer = verify(pipeline)
    assert told == []
    assert set(newer) >= {"shrink@2", "shrink@3", "train@sharp"}
    # Who edits such a result and its hash is seen all the same.
    model = pipeline / "models/tiny/sharp.json"
    model.write_text(model.read_text().replace("digest", "digits"))
    relock(pipeline)
    (forged,) = findings(pipeline)
    assert forged.startswith("dvc.lock: what it says of train@sharp, predict@sharp is neither in")


def test_a_number_in_another_form_is_the_same(pipeline: Path) -> None:
    edit(pipeline, "params.yaml", "sigma: 1.5e-1", "sigma: 2.0")
    shell(pipeline, "dvc", "repro", "-q")
    edit(pipeline, "params.yaml", "sigma: 2.0", "sigma: 2")
    assert findings(pipeline) == []


def test_a_stage_that_dvc_keeps_no_run_of_needs_its_record(pipeline: Path) -> None:
    """An output that is neither in the cache nor a metric turns DVC's run cache off."""
    edit(pipeline, "params.yaml", "seed: 7", "seed: 8")
    shell(pipeline, "dvc", "repro", "-q")
    shutil.rmtree(pipeline / ".dvc/cache/runs")
    assert findings(pipeline)
    for name in read(pipeline, "dvc.lock")["stages"]:
        record(pipeline, name)
    told, newer = verify(pipeline)
    assert told == []
    assert "check" in newer
    lock = read(pipeline, "dvc.lock")
    lock["stages"]["check"]["outs"][0]["md5"] = "0" * 32
    write(pipeline, "dvc.lock", lock)
    assert findings(pipeline)


def test_what_concerns_no_stage_is_no_finding(pipeline: Path) -> None:
    edit(pipeline, "params.yaml", "epochs: 400", "epochs: 500")
    edit(pipeline, "dvc.yaml", "stages:", "# The graph\nstages:")
    (pipeline / "data/tiny/prepared/left.part").write_text("DVC ignores it")
    lock = read(pipeline, "dvc.lock")
    lock["stages"]["shrink@9"] = lock["stages"]["shrink@2"]
    write(pipeline, "dvc.lock", lock)
    assert findings(pipeline) == []


def test_findings_say_what_where_and_what_it_means(pipeline: Path) -> None:
    edit(pipeline, "metrics/tiny/accuracy.json", "mean", "main")
    (pipeline / "src/tool.py").write_text("FACTOR = 4\n")
    edit(pipeline, "params.yaml", "1.5e-1", "0.2")
    (pipeline / "data/tiny/report/figure.svg").write_text("<svg>")
    (pipeline / "models/tiny/sharp.json").unlink()
    assert sorted(findings(pipeline)) == [
        "data/tiny/report is not what report wrote",
        "metrics/tiny/accuracy.json is not what report wrote",
        "models/tiny/sharp.json is not here; `dvc checkout` or `dvc pull` brings outputs back",
        "params.yaml: sharpen.sigma is 0.2; shrink@2, shrink@3, train@sharp ran with 0.15",
        "src/tool.py changed since prepare, shrink@2, shrink@3, train@plain and 1 more read it",
    ]


def test_what_a_stage_that_is_gone_has_left_where_others_read(pipeline: Path) -> None:
    edit(pipeline, "params.yaml", "scales: [2, 3]", "scales: [2]")
    shell(pipeline, "dvc", "repro", "-q")
    assert findings(pipeline) == [
        "data/tiny/small/x3.csv is of no stage, so other clones lack it, and data/tiny/small is "
        "read with it: delete it, then `dvc repro`"
    ]
    Path("data/tiny/small/x3.csv").unlink()
    shell(pipeline, "dvc", "repro", "-q")
    assert findings(pipeline) == []


def test_an_imported_file_that_nobody_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that was killed leaves it, and Git ignores it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/raw/predictions"
    files = [f"{folder}/{name}" for name in ("README.md", "a/.gitignore", "a/x.csv.dvc", "a/x.csv")]
    found = [*files, f"{folder}/y"]
    repo = SimpleNamespace(dvcignore=SimpleNamespace(find=lambda fs, folder: found))
    tracked = SimpleNamespace(deps=[], outs=[SimpleNamespace(fs_path=files[-1])])
    report = SimpleNamespace(deps=[SimpleNamespace(fs_path=str(folder), fs=None)], outs=[])
    (finding,) = _left(repo, {"report": report, "x.csv.dvc": tracked})
    assert finding.startswith("data/raw/predictions/y is of no stage, so other clones lack it")


def test_metrics_that_are_gone_are_brought_back_by_git(pipeline: Path) -> None:
    (pipeline / "metrics/tiny/accuracy.json").unlink()
    said = "metrics/tiny/accuracy.json is not here; `git checkout metrics/tiny/accuracy.json`"
    assert any(finding.startswith(said) for finding in findings(pipeline))


def test_metrics_that_the_commit_of_their_lock_lacks(pipeline: Path) -> None:
    """As after `git commit dvc.lock` alone: what others clone does not fit together."""
    git = partial(shell, pipeline, "git")
    said = "HEAD has what dvc.lock says of {}, but not these files: commit them too"
    git("rm", "-q", "--cached", "metrics/tiny/accuracy.json")
    git("commit", "-q", "-m", "lost")
    assert findings(pipeline) == [said.format("metrics/tiny/accuracy.json")]
    git("add", "metrics")
    assert len(findings(pipeline)) == 1
    git("commit", "-q", "-m", "there again")
    assert findings(pipeline) == []
    curve = pipeline / "metrics/tiny/sharp/g/loss.tsv"
    here = curve.read_bytes()
    curve.write_text("old")
    git("commit", "-q", "-a", "-m", "of another run")
    curve.write_bytes(here)
    assert findings(pipeline) == [said.format("metrics/tiny/sharp/g/loss.tsv")]


def test_raw_data_that_changed_after_the_import(pipeline: Path) -> None:
    (pipeline / "data/raw/one.txt").write_text("won")
    assert findings(pipeline) == [
        "data/raw is not the data that data/raw.dvc names: changed after the import",
        "data/raw changed since prepare read it",
    ]
    shell(pipeline, "dvc", "add", "-q", "data/raw")
    assert findings(pipeline) == ["data/raw changed since prepare read it"]
    shutil.rmtree(pipeline / "data/raw")
    assert findings(pipeline) == [
        "data/raw is not here; `dvc checkout` or `dvc pull` brings outputs back"
    ]


def test_code_and_settings_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment is no finding; code or a value that the first two stages have not seen is one."""
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=lambda *_: {"__pycache__"})
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / ".dvcignore").write_text("__pycache__/\n")
    first = (ROOT / "dvc.yaml").read_text().split("  # --- data ---")[0]
    (tmp_path / "dvc.yaml").write_text(first.replace("python -m stages.", "true "))
    monkeypatch.chdir(tmp_path)
    refresh()
    init(tmp_path)
    shell(tmp_path, "dvc", "commit", "-q", "-f")
    commit(tmp_path, "first")
    assert findings(tmp_path) == []
    losses = "src/fsr_fer/training/losses.py"
    edit(tmp_path, losses, "import torch\n", "# a comment\nimport torch\n")
    edit(tmp_path, "params.yaml", "seed: 666 ", "seed:  666 # another comment ")
    assert findings(tmp_path) == []
    edit(tmp_path, losses, "# a comment", "import math")
    edit(tmp_path, "params.yaml", "\nseed:  666", "\nseed:  667")
    code, seed = findings(tmp_path)
    assert re.fullmatch("the code of .*fsr.* is not what code.json says: `dvc repro`", code)
    assert seed == "seed is 667; settings.json has 666: `dvc repro`"


def test_a_forged_result_is_seen_until_it_is_committed_and_then_by_replay(pipeline: Path) -> None:
    metric = pipeline / "metrics/tiny/accuracy.json"
    metric.write_text('{"plain": {"x2": 99.0, "mean": 99.0}}')
    for took_it in (relock, lambda root: shell(root, "dvc", "commit", "-q", "-f", "report")):
        took_it(pipeline)  # `dvc commit` puts it into the run cache, too
        (told,) = findings(pipeline)
        assert told.startswith("dvc.lock: what it says of report is neither in HEAD nor of a run")
        assert "`fsr-fer verify --replay STAGE`" in told
    commit(pipeline, "better numbers")
    assert findings(pipeline) == []
    same = replay(pipeline, "report")
    assert same == {"data/tiny/report": True, "metrics/tiny/accuracy.json": False}


def test_a_committed_entry_without_a_hash_is_refused(pipeline: Path) -> None:
    lock = read(pipeline, "dvc.lock")
    (metric,) = [o for o in lock["stages"]["report"]["outs"] if o["path"].endswith(".json")]
    del metric["md5"]
    write(pipeline, "dvc.lock", lock)
    commit(pipeline, "any number will do")
    with pytest.raises(UserError, match=r"dvc\.lock of workspace is not whole"):
        findings(pipeline)


def test_a_replay_of_all_gives_the_same_bytes_and_leaves_the_workspace(pipeline: Path) -> None:
    Path("caf\udce9").touch()  # Latin-1
    shell(pipeline, "git", "add", ".")
    names = Revision(pipeline).lock  # the first to look caches what DVC makes of dvc.yaml
    before = shell(pipeline, "git", "status", "--porcelain", "--ignored")
    for name in names:
        assert set(replay(pipeline, name).values()) == {True}
    assert shell(pipeline, "git", "status", "--porcelain", "--ignored") == before


def test_a_replayed_command_that_fails_says_what_it_said(pipeline: Path) -> None:
    (pipeline / "stages/report.py").write_text("raise SystemExit('no ink')\n")
    with pytest.raises(UserError, match=r"replay of report: `.*py` ended with 1: no ink"):
        replay(pipeline, "report")
    Path("metrics/tiny/accuracy.json").unlink()
    with pytest.raises(UserError, match=r"tiny/accuracy\.json is not here to compare with"):
        replay(pipeline, "report")


def test_an_interrupted_replay_ends_its_stage(pipeline: Path) -> None:
    (pipeline / "stages/report.py").write_text("import time; time.sleep(600)\n")
    program = "from fsr_fer.pipeline.provenance.replay import replay\n"
    interrupt(pipeline, f"{program}replay(pathlib.Path(), 'report')", "report.py")


def test_without_a_lock_nothing_has_run(pipeline: Path) -> None:
    (pipeline / "dvc.lock").unlink()
    with pytest.raises(UserError, match=r"dvc\.lock is not here: `git checkout"):
        findings(pipeline)


def test_beside_a_run_the_lock_is_read_whole_and_nothing_is_verified(pipeline: Path) -> None:
    lock = pipeline / "dvc.lock"
    whole, expected = lock.read_bytes(), Revision(pipeline).lock
    with open(pipeline / ".dvc/tmp/lock") as held:  # as DVC holds it while it writes
        fcntl.flock(held, fcntl.LOCK_EX)
        lock.write_bytes(whole[: whole.index(b"  report:")])

        def end() -> None:
            lock.write_bytes(whole)
            fcntl.flock(held, fcntl.LOCK_UN)

        timer = threading.Timer(0.5, end)
        timer.start()
        assert Revision(pipeline).lock == expected
        timer.join()
    lock.write_bytes(whole[:-200])
    info = {"pid": os.getpid(), "cmd": psutil.Process().cmdline()[0]}
    (pipeline / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {"/data": info}}))
    with pytest.raises(UserError, match="is not whole"):
        verify(pipeline)
    lock.write_bytes(whole)
    with pytest.raises(UserError, match="DVC is running a stage; try again when it has ended"):
        verify(pipeline)
    running = exclusive(pipeline / ".runs/repro", "the pipeline")
    with running, pytest.raises(UserError, match="the pipeline is already running"):
        verify(pipeline)


def test_a_git_that_refuses_is_no_evidence(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where the folder is another user's."""
    shutil.rmtree(pipeline / ".dvc/cache/runs")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert "dubious ownership" in git_refusal(pipeline)
    assert findings(pipeline) == []


def test_a_cache_that_is_not_mounted_is_named(pipeline: Path, run: Run) -> None:
    model = pipeline / "models/tiny/plain.json"
    model.unlink()
    model.symlink_to("/moved/cache")
    said = "fsr-fer: .*plain.json leads to /moved/cache, which is not .*\n"
    assert re.fullmatch(said, refused(run("verify")))


def test_what_was_not_pulled_has_not_changed(pipeline: Path) -> None:
    folders = [path for path in (pipeline / "data").rglob("*") if path.is_dir()]
    shutil.rmtree(pipeline / "data")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("/x\n")
    assert findings(pipeline)
    assert all("is not here; `dvc checkout` or" in finding for finding in findings(pipeline))
