"""Several processes of torchrun: who they are, that they meet, that one failure ends all."""

import subprocess
import sys
from pathlib import Path

import pytest

from fsr_fer.common import distributed
from fsr_fer.common.errors import UserError
from tests.pipeline.provenance.conftest import shell

SCRIPT = """
from pathlib import Path
import torch
import fsr_fer.pipeline.run_stage
from fsr_fer.common import distributed
from fsr_fer.common.errors import UserError

def main(*arguments):
    rank = distributed.rank()
    if arguments:
        if rank == 1:
            raise UserError("this went wrong")
        distributed.barrier()
    own = torch.arange(7)[distributed.share(7)]
    assert len(own) in (2, 3)
    Path(f"{rank}-of-{distributed.world_size()}").touch()
    distributed.barrier()
    assert len(list(Path().glob("*-of-*"))) == 3
    assert distributed.total(len(own)) == 7
    assert distributed.gather(own).tolist() == list(range(7))
    assert distributed.from_first({"rank": rank}) == {"rank": 0}
    means = distributed.mean_over_all({"mean": own.double().mean()}, len(own))
    assert abs(float(means["mean"]) - 3) < 1e-12
    if distributed.is_first():
        print("all met")

fsr_fer.pipeline.run_stage.require_own_code = lambda stage: None  # this is no stage of the project
fsr_fer.pipeline.run_stage.run_stage(main)
"""


def torchrun(folder: Path, count: int, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, f"--nproc-per-node={count}", "script.py", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_processes_meet_and_share(tmp_path: Path) -> None:
    result = torchrun(tmp_path, 3)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "all met"


def test_one_mistake_ends_all_and_is_told(tmp_path: Path) -> None:
    result = torchrun(tmp_path, 2, "mistake")
    assert result.returncode != 0
    assert result.stderr.count("error: this went wrong\n") == 1


def test_a_process_whose_part_is_done_ends_before_its_interpreter_does(tmp_path: Path) -> None:
    """Threads of gloo that are alive when the interpreter ends abort it, now and then."""
    program = (
        "from fsr_fer.pipeline.run_stage import run_stage\n"
        "import atexit, os, fsr_fer.pipeline.run_stage\n"
        "atexit.register(os.abort)\n"
        "fsr_fer.pipeline.run_stage.require_own_code = lambda stage: None\n"
        "run_stage(lambda: None)\n"
    )
    shell(tmp_path, sys.executable, "-c", program)


def among(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))


def test_alone_is_the_first_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (distributed.rank(), distributed.world_size(), distributed.is_first()) == (0, 1, True)
    assert distributed.share(5) == slice(0, 5)
    distributed.barrier()  # waits for nobody
    among(monkeypatch, 1, 2)
    assert (distributed.rank(), distributed.world_size(), distributed.is_first()) == (1, 2, False)


def test_too_many_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed.require_one_process()
    among(monkeypatch, 0, 3)
    distributed.require_enough(3)
    with pytest.raises(UserError, match="3 processes cannot share batches of 2 faces"):
        distributed.require_enough(2)
    with pytest.raises(UserError, match="runs in one process"):
        distributed.require_one_process()
