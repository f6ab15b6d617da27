"""Each training's first steps give the numbers that are committed, in one process or by two."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests import ROOT
from tests.training.golden import GOLDEN, TOLERANCE, all_steps
from tests.training.shared_batches import part_of_fsr, write_all_features

EXPECTED = json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made, also of what one had begun."""
    folder = tmp_path_factory.mktemp("shared")
    part_of_fsr(folder / "fsr by one", 2)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node=2", f"--log-dir={folder / 'logs'}"]
    done = subprocess.run(
        [*launcher, "-m", "tests.training.shared_batches", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


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


def test_two_processes_do_the_same_steps(by_two: Path) -> None:
    check(json.loads((by_two / "steps.json").read_text()))


def test_a_checkpoint_of_one_process_is_gone_on_from_by_two_and_back(
    by_two: Path, tmp_path: Path
) -> None:
    resumed = load_file(by_two / "resumed.safetensors")
    back = part_of_fsr(by_two / "fsr by two", 6)
    for name, expected in part_of_fsr(tmp_path, 6).items():
        for found in (resumed[name], back[name]):
            assert (found - expected).norm() <= 1e-4 * expected.norm(), name


def test_two_processes_write_the_features_of_one(by_two: Path, tmp_path: Path) -> None:
    alone = write_all_features(tmp_path)
    assert (by_two / "features.npy").read_bytes() == alone.read_bytes()
