"""The script that kills trainings, with few kills: it works, and nothing fails."""

import json
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.pipeline.provenance.conftest import shell


@pytest.mark.parametrize("training", ["pretrain", "fsr"])
def test_killed_trainings_end_as_undisturbed_ones(tmp_path: Path, training: str) -> None:
    results = tmp_path / "kill.json"
    words = ["benchmarks/kill.py", training, "--kills=5", "--saves=6", f"--results={results}"]
    shell(ROOT, "env", "OMP_NUM_THREADS=1", sys.executable, *words)
    found = json.loads(results.read_text())[training]
    assert found["trainings"] == found["equal"] == 5
    assert found["kills"] == sum(found["killed"].values()) >= 5
    assert found["aimed_at"].keys() >= {"any moment", "line of a save", "part of the bytes"}
