"""Several processes on one batch: the same weights as one, gradient penalty and all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from fsr_fer.training.checkpoint import unprefixed
from tests import ROOT
from tests.training import shared_batches


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made, also of what one had begun."""
    folder = tmp_path_factory.mktemp("shared")
    shared_batches.part_of_fsr(folder / "fsr by one", 2)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node=2", "-m", "tests.training.shared_batches", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


def same(first: Tensor, second: Tensor, tolerance: float) -> bool:
    first, second = first.detach().double(), second.detach().double()
    return bool((first - second).norm() <= tolerance * second.norm())


def test_two_processes_reach_the_weights_of_one(by_two: Path) -> None:
    """Weights, moments of both optimisers, statistics, centers and terms, after 20 steps."""
    found, expected = load_file(by_two / "weights.safetensors"), shared_batches.trained()
    assert len(expected) > 400
    for key, tensor in expected.items():
        assert same(found[key], tensor, 1e-5), key


def test_a_checkpoint_of_one_process_is_gone_on_from_by_two_and_back(
    by_two: Path, tmp_path: Path
) -> None:
    resumed = unprefixed("fsr resumed", load_file(by_two / "weights.safetensors"))
    expected = shared_batches.part_of_fsr(tmp_path, 6)
    back = shared_batches.part_of_fsr(by_two / "fsr by two", 6)
    assert resumed.keys() == back.keys() == expected.keys()
    for key, tensor in expected.items():
        assert same(resumed[key], tensor, 1e-4), key
        assert same(back[key], tensor, 1e-4), key
