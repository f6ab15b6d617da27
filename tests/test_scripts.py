"""The scripts that try what takes long, with few trials: they work, and nothing fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"benchmarks/{script}.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("training", ["pretrain", "fsr"])
def test_killed_trainings_end_as_undisturbed_ones(tmp_path: Path, training: str) -> None:
    results = tmp_path / "kill.json"
    done = run("kill", training, "--kills", "5", "--results", str(results))
    assert done.returncode == 0, done.stderr
    found = json.loads(results.read_text())[training]
    assert found["trainings"] == found["equal"] == 5
    assert found["kills"] == sum(found["killed"].values()) >= 5
    assert found["aimed_at"].keys() >= {"any moment", "line of a save", "part of the bytes"}


def test_degenerate_matrices(tmp_path: Path) -> None:
    results = tmp_path / "stability.json"
    done = run("stability", "--matrices", "5000", "--seed", "1", "--results", str(results))
    assert done.returncode == 0, done.stdout
    found = json.loads(results.read_text())
    assert found["all"]["matrices"] >= 5000
    assert found["all"]["not_finite"] == 0
    for answer in ("features", "gradient of the maps", "gradient of W"):
        assert found["all"][answer]["well_posed"] > 2500
        assert found["all"][answer]["worst_error"] <= 1e-4
