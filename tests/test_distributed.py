"""Several processes of one script: who they are, that they meet, how they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fsr_fer.distributed import Ranks, join_ranks
from fsr_fer.errors import UserError

SCRIPT = """
import os
import signal
import sys
import time
from pathlib import Path
from fsr_fer.distributed import join_ranks, run_in_processes
from fsr_fer.errors import UserError
from fsr_fer.run_stage import run_stage

def main():
    run_in_processes()
    ranks = join_ranks()
    if sys.argv[1:] == ["fail"] and ranks.rank == 1:
        sys.exit(3)
    if sys.argv[1:] == ["wait"]:
        Path(f"{os.getpid()}.pid").touch()
        time.sleep(60)
    if sys.argv[1:] == ["all"]:
        ranks.wait_for_all()
        raise UserError("this went wrong")
    ranks.meet()
    if sys.argv[1:] == [f"killed {ranks.rank}"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1:] == [f"late mistake {ranks.rank}"]:
        raise UserError("this went wrong")
    Path(f"{ranks.rank}-of-{ranks.world}").touch()
    ranks.wait_for_all()
    if ranks.first:
        print(sorted(path.name for path in Path().glob("*-of-*")))
    ranks.leave()  # as stages do
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


@pytest.mark.parametrize("case", ["all", "late mistake 0", "late mistake 1"])
def test_a_mistake_is_one_line_whoever_notices_it(tmp_path: Path, case: str) -> None:
    """The others wait for the one that failed: their lost connection is not what is told."""
    result = run(tmp_path, "2", case)
    assert (result.returncode, result.stderr) == (1, "error: this went wrong\n")


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_whose_part_is_done_ends_before_its_interpreter_does(code: int) -> None:
    """Threads of gloo that are alive when the interpreter ends abort it, now and then."""
    program = (
        "from fsr_fer.run_stage import run_stage\n"
        "import atexit, os, sys\n"
        "atexit.register(os.abort)\n"
        f"def main(): sys.exit({code})\n"
        "run_stage(main)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert result.returncode == code, result.stderr


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_one_line(tmp_path: Path, rank: int) -> None:
    result = run(tmp_path, "2", f"killed {rank}")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: process {rank + 1} of 2 was ended by SIGKILL (out of")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, kill: signal.Signals) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    started = subprocess.Popen(
        [sys.executable, "script.py", "wait"],
        cwd=tmp_path,
        env={**os.environ, "FSR_FER_PROCESSES": "2"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(kill)
    _, said = started.communicate()
    assert said == (
        "" if kill == signal.SIGKILL else "interrupted; `dvc repro` goes on from here\n"
    )
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


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
