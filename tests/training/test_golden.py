"""Each training's first steps give the numbers that are committed, in one process or by two."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.training.golden import GOLDEN, TOLERANCE, all_steps

EXPECTED = json.loads(GOLDEN.read_text())


def check(found: dict[str, Any]) -> None:
    # A weight's number is a sum with signs, so it is also compared on the scale of 1e-3.
    approx = partial(pytest.approx, rel=TOLERANCE, abs=TOLERANCE * 1e-3)
    assert found.keys() == EXPECTED.keys()
    for training, parts in EXPECTED.items():
        assert found[training] == {
            part: list(map(approx, values)) if part == "steps" else approx(values)
            for part, values in parts.items()
        }, training


def test_the_first_steps_are_the_golden_ones() -> None:
    check(all_steps())


def test_two_processes_do_the_same_steps(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node=2", f"--log-dir={tmp_path / 'logs'}"]
    done = subprocess.run(
        [*launcher, "-m", "tests.training.shared_batches", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    check(json.loads((tmp_path / "steps.json").read_text()))
