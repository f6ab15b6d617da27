"""Several processes of one script: who they are, that they meet, how they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fsr_fer.distributed import Ranks, join_ranks
from fsr_fer.errors import UserError

SCRIPT = """
import sys
from pathlib import Path
from fsr_fer.distributed import join_ranks, run_in_processes
from fsr_fer.stage import run_stage

def main():
    run_in_processes()
    ranks = join_ranks()
    if sys.argv[1:] == ["fail"] and ranks.rank == 1:
        sys.exit(3)
    Path(f"{ranks.rank}-of-{ranks.world}").touch()
    ranks.wait_for_all()
    if ranks.first:
        print(sorted(path.name for path in Path().glob("*-of-*")))
    sys.exit(0)

run_stage(main)
"""


def run(folder: Path, processes: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, "script.py", *arguments],
        cwd=folder,
        env={**os.environ, "FSR_FER_PROCESSES": processes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_processes_meet(tmp_path: Path) -> None:
    result = run(tmp_path, "3")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "['0-of-3', '1-of-3', '2-of-3']"


def test_one_failure_stops_all(tmp_path: Path) -> None:
    assert run(tmp_path, "3", "fail").returncode == 3


@pytest.mark.parametrize("processes", ["0", "two", "-1"])
def test_a_number_that_is_none_is_one_line(tmp_path: Path, processes: str) -> None:
    result = run(tmp_path, processes)
    assert result.returncode == 1
    assert f"FSR_FER_PROCESSES={processes} is no number of processes" in result.stderr
    assert result.stderr.count("\n") == 1


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_ranks() == Ranks(0, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert join_ranks() == Ranks(1, 2)
    assert not join_ranks().first
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(UserError, match="RANK=1 of WORLD_SIZE=1"):
        join_ranks()
