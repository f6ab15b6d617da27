"""`fsr-fer repro`: what `dvc repro` does, side by side."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import exclusive
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.reproduce import reproduce, require_faces, times
from tests import ROOT
from tests.pipeline.provenance.conftest import edit, finished, interrupt, pipeline, shell

__all__ = ["finished", "pipeline"]  # fixtures


def test_side_by_side_and_one_by_one_end_with_the_same_lock(
    pipeline: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(pipeline, tmp_path / "other", symlinks=True)
    for root in (pipeline, other):
        edit(root, "params.yaml", "seed: 7", "seed: 8")
    shell(other, "dvc", "repro", "-q")
    reproduce(Path(), jobs=3)
    assert (pipeline / "dvc.lock").read_text() == (other / "dvc.lock").read_text()
    said = capfd.readouterr().out
    order = re.findall(r" of 9  (\S+) +\d+ s$", said, re.M)
    assert re.findall(r"^ +(\d) of 9 .* \d+ s$", said, re.M) == list("123456789")
    assert said.startswith("  0 of 9  prepare                          starts\n")
    assert said.count(" starts\n") == 9
    assert (order[0], order[1], order[-1]) == ("prepare", "check", "report")
    with pytest.MonkeyPatch.context() as patch:
        for slow in ("torch", "fsr_fer.common.device"):
            patch.setitem(sys.modules, slow, None)  # it needs neither to do nothing
        reproduce(Path(), jobs=None)
    assert capfd.readouterr().out.endswith("Data and pipelines are up to date.\n")
    said = pytest.raises(UserError, match=r"the pipeline is already running \(it holds")
    with exclusive(Path(".runs/repro"), "another"), said:
        reproduce(Path(), jobs=None)


@pytest.mark.parametrize("arithmetic", ["", "native"])
def test_a_device_that_is_not_here_is_said_before_a_stage_begins(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, arithmetic: str
) -> None:
    edit(pipeline, "params.yaml", "seed: 7", "seed: 8")
    before = (pipeline / "dvc.lock").read_bytes()
    monkeypatch.setenv("FSR_FER_ARITHMETIC", arithmetic)
    monkeypatch.setenv("FSR_FER_DEVICE", "abacus")
    with pytest.raises(UserError, match="FSR_FER_DEVICE=abacus cannot be used here"):
        reproduce(Path(), jobs=2)
    assert (pipeline / "dvc.lock").read_bytes() == before


def test_what_reads_the_same_outputs_again_is_not_started(
    pipeline: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(pipeline, "stages/predict.py", "import json", "# better said\nimport json")
    reproduce(Path(), jobs=2)
    order = re.findall(r" of 3  (\S+) +\d+ s$", capfd.readouterr().out, re.M)  # 3: the report
    assert sorted(order) == ["predict@plain", "predict@sharp"]
    shell(pipeline, "dvc", "status", "-q")  # exit code 1 if anything had changed


def test_a_clone_with_the_cache_runs_nothing(
    pipeline: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Of a stage with such an output DVC keeps no run.
    edit(pipeline, "dvc.yaml", "report']\n    metrics: [", "report', ")
    shell(pipeline, "git", "clean", "-fdxq", "data", "models")
    reproduce(Path(), jobs=2)
    assert capfd.readouterr().out.endswith("Data and pipelines are up to date.\n")
    assert Path("data/tiny/report/index.html").is_file()


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("small", None),
        (
            "ferplus",
            r"ferplus has no faces here; .*`fsr-fer import fer2013 PATH --profile ferplus`",
        ),
        (
            "real_faces",
            r"`fsr-fer import rafdb\|fer2013\|folder\|csv PATH --profile real_faces`",
        ),
        ("mine", r"no stage draws the faces of profile mine; add mine to the list of synthesize"),
    ],
)
def test_a_profile_without_faces_is_refused_before_anything_runs(
    profile: str, said: str | None, tmp_path: Path
) -> None:
    for file in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    edit(tmp_path, "params.yaml", "profile: small", f"profile: {profile}")
    edit(tmp_path, "params.yaml", "  small: {}", "  small: {}\n  mine: {}")
    params = read_params(tmp_path / "params.yaml")
    if said is None:
        require_faces(tmp_path, params)
        return
    with pytest.raises(UserError, match=said):
        require_faces(tmp_path, params)
    (tmp_path / f"data/raw/{profile}").mkdir(parents=True)
    (tmp_path / f"data/raw/{profile}.dvc").touch()  # of a clone that has not pulled them
    with pytest.raises(UserError, match=r"mine|with `dvc checkout`, `dvc pull` or `fsr-fer"):
        require_faces(tmp_path, params)
    (tmp_path / f"data/raw/{profile}/labels.csv").touch()
    require_faces(tmp_path, params)


def test_where_the_time_went_is_told_by_the_longest() -> None:
    runs = {f"stage@{n}": {"seconds": n, "processor_seconds": 2 * n} for n in range(1, 13)}
    head, _, *rows = [line.split() for line in times(runs).splitlines()]
    assert head == ["where", "the", "time", "went", "seconds", "of", "processor"]
    assert rows[0] == ["stage@12", "12", "24"]
    assert rows[-2:] == [["stage@3", "3", "6"], ["all", "78", "156"]]


def test_a_stage_that_fails_is_named_and_the_next_run_goes_on(
    pipeline: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(pipeline, "params.yaml", "sigma: 1.5e-1", "sigma: 0.3")
    fails = "row = sys.argv[1]; assert row != 'sharp'"
    edit(pipeline, "stages/predict.py", "row = sys.argv[1]", fails)
    with pytest.raises(UserError, match=r"predict@sharp failed"):
        reproduce(Path(), jobs=2)
    assert "AssertionError" in capfd.readouterr().err
    edit(pipeline, "stages/predict.py", fails, "row = sys.argv[1]")
    reproduce(Path(), jobs=2)
    assert "train" not in capfd.readouterr().out


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_ends_it_ends_all_of_it(pipeline: Path, jobs: int) -> None:
    edit(pipeline, "stages/step.py", "import hash", "import time; time.sleep(600); import hash")
    program = "from fsr_fer.pipeline.reproduce import reproduce\n"
    said = interrupt(pipeline, f"{program}reproduce(pathlib.Path(), {jobs})", "step.py")
    assert jobs == 1 or said.startswith("Traceback")  # nothing of what was ended
