"""Experiments of a queue share the checkpoints' folder: none may lose another's."""

import contextlib
import shutil
import sys
from pathlib import Path

import pytest
import torch

from fsr_fer.pipeline.runs import checkpoint_of
from fsr_fer.pipeline.stage import Stage
from tests import ROOT
from tests.pipeline.provenance.conftest import shell


def stage(sigma: float) -> Stage:
    values = {"fsr_reweighted": {"reweight": {"sigma": sigma}}}
    return Stage(
        name="fsr@reweighted", profile="small", values=values, deps=(), outs=(), code="0123"
    )


def test_a_killed_task_goes_on_after_another_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with contextlib.suppress(KeyboardInterrupt), checkpoint_of(stage(1.2)) as checkpoint:
        checkpoint.save({"weight": torch.ones(1)}, {"iteration": 3})
        raise KeyboardInterrupt
    with checkpoint_of(stage(2.0)) as checkpoint:
        checkpoint.save({"weight": torch.zeros(1)}, {"iteration": 9})
    with checkpoint_of(stage(1.2)) as checkpoint:
        assert checkpoint.load()[1] == {"iteration": 3}
    assert not checkpoint.folder.exists()  # the results are written


def test_a_stage_runs_the_code_that_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed package is another folder's; DVC would record code that did not run."""
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    script = "from fsr_fer.pipeline import run_stage\nprint(run_stage.__file__)\n"
    (tmp_path / "stages/show.py").write_text(script)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    out = shell(tmp_path, sys.executable, "-m", "stages.show")
    assert Path(out.strip()) == tmp_path / "src/fsr_fer/pipeline/run_stage.py"
