"""Several processes on one batch: the same weights as one, gradient penalty and all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.errors import UserError
from fsr_fer.training.checkpoint import STATE, prefixed, unprefixed
from fsr_fer.training.parallel import require_enough
from tests.training import shared_batches

ROOT = Path(__file__).resolve().parents[2]


SCRIPT = """
import sys
from pathlib import Path
from fsr_fer.distributed import run_in_processes
from tests.training.shared_batches import main
run_in_processes()
main(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made, also of what one had begun."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "script.py").write_text(SCRIPT)
    shared_batches.part_of_fsr(ALONE, folder / "fsr by one", 2)
    shared_batches.part_of_pretrain(ALONE, folder / "pretrain by one", 1)
    environment = {**os.environ, "FSR_FER_PROCESSES": "2", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(folder / "script.py"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


def same(first: Tensor, second: Tensor, tolerance: float) -> bool:
    first, second = first.detach().double(), second.detach().double()
    return bool((first - second).norm() <= tolerance * second.norm())


def test_two_processes_reach_the_weights_of_one(by_two: Path) -> None:
    """Weights, moments of both optimisers, statistics, centers and terms, after 20 steps."""
    found = load_file(by_two / "weights.safetensors")
    compared = 0
    for name, alone in shared_batches.trained(ALONE):
        for key, expected in prefixed(name, alone).items():
            assert same(found[key], expected, 1e-5), key
            compared += 1
    assert compared > 400


def test_a_checkpoint_of_one_process_is_gone_on_from_by_two_and_back(
    by_two: Path, tmp_path: Path
) -> None:
    resumed = unprefixed("fsr resumed", load_file(by_two / "weights.safetensors"))
    expected = shared_batches.part_of_fsr(ALONE, tmp_path, 6)
    back = shared_batches.part_of_fsr(ALONE, by_two / "fsr by two", 6)
    assert resumed.keys() == back.keys() == expected.keys()
    for key, tensor in expected.items():
        assert same(resumed[key], tensor, 1e-4), key
        assert same(back[key], tensor, 1e-4), key


def test_what_one_number_of_processes_saved_is_what_another_loads(by_two: Path) -> None:
    """To the bit; going on would show float32's rounding, which CovPoolFER's logarithms enlarge."""
    loaded = unprefixed("pretrain resumed", load_file(by_two / "weights.safetensors"))
    for folder, found in (
        (by_two / "pretrain by one", loaded),
        (by_two / "pretrain by two", None),
    ):
        found = found or shared_batches.part_of_pretrain(ALONE, folder, 1)
        saved = unprefixed("best", load_file(folder / STATE))
        assert saved.keys() == found.keys()
        assert all(saved[key].equal(found[key]) for key in saved)


def test_parts_cover_a_batch_once() -> None:
    for total in (2, 7, 16):
        parts = [range(total)[Ranks(rank, 2).share(total)] for rank in range(2)]
        assert [i for part in parts for i in part] == list(range(total))
        assert abs(len(parts[0]) - len(parts[1])) <= 1


def test_more_processes_than_faces_are_refused() -> None:
    require_enough(3, Ranks(0, 3))
    with pytest.raises(UserError, match="4 processes cannot share batches of 3 faces"):
        require_enough(3, Ranks(0, 4))
