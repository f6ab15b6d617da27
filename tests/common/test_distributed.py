"""Several processes of torchrun: who they are, what they share."""

import sys
from pathlib import Path

import pytest

from fsr_fer.common import distributed
from fsr_fer.common.errors import UserError
from tests.pipeline.provenance.conftest import shell


def test_a_process_whose_part_is_done_ends_before_its_interpreter_does(tmp_path: Path) -> None:
    """Threads of gloo that are alive when the interpreter ends abort it, now and then."""
    program = (
        "from fsr_fer.pipeline.run_stage import run_script\n"
        "import atexit, os, fsr_fer.pipeline.run_stage\n"
        "atexit.register(os.abort)\n"
        "fsr_fer.pipeline.run_stage.require_own_code = lambda stage: None\n"
        "run_script(lambda: None)\n"
    )
    shell(tmp_path, sys.executable, "-c", program)


def among(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))


def test_alone_is_the_first_of_one_and_parts_differ_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (distributed.rank(), distributed.world_size(), distributed.is_first()) == (0, 1, True)
    assert distributed.share(5) == slice(0, 5)
    distributed.barrier()  # waits for nobody
    parts = []
    for rank in range(3):
        among(monkeypatch, rank, 3)
        assert distributed.is_first() is (rank == 0)
        parts.append(range(7)[distributed.share(7)])
    assert parts == [range(2), range(2, 4), range(4, 7)]


def test_too_many_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed.require_one_process()
    among(monkeypatch, 0, 3)
    distributed.require_enough(3)
    with pytest.raises(UserError, match="3 processes cannot share 2 faces"):
        distributed.require_enough(2)
    with pytest.raises(UserError, match="runs in one process"):
        distributed.require_one_process()
