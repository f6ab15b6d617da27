"""One piece of work shared by several processes, on one machine or more.

A stage runs in ``FSR_FER_PROCESSES`` processes of this machine, or under ``torchrun`` on as many
machines as it is told: both set RANK, WORLD_SIZE and the address where the processes meet. How many
they are changes no result, so it is no param.
"""

from __future__ import annotations

import datetime
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from fsr_fer.errors import UserError

VARIABLE = "FSR_FER_PROCESSES"
PATIENCE = datetime.timedelta(days=7)
"""How long processes wait for one another; the slowest may have hours of work left."""


@dataclass(frozen=True)
class Ranks:
    """A process's place among all."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that does what only one may do."""
        return self.rank == 0

    def wait_for_all(self) -> None:
        """Return when all processes have come here."""
        if self.world > 1:
            import torch.distributed as dist

            if not dist.is_initialized():
                dist.init_process_group("gloo", timeout=PATIENCE)
            dist.barrier()


ALONE = Ranks()


def join_ranks() -> Ranks:
    """The place of this process, as torchrun or ``run_in_processes`` have set it, or alone.

    Raises:
        UserError: what they set makes no sense.
    """
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and world.isdecimal() and int(rank) < int(world)):
        raise UserError(f"RANK={rank} of WORLD_SIZE={world} is no place among processes")
    return Ranks(int(rank), int(world))


def run_in_processes() -> None:
    """Run this very script in as many processes as FSR_FER_PROCESSES says, then exit.

    Returns at once where that is one, or where this is such a process already. If one fails, the
    others are stopped, and its exit code becomes ours.

    Raises:
        UserError: FSR_FER_PROCESSES is no number from 1.
    """
    asked = os.environ.get(VARIABLE, "1")
    if not asked.isdecimal() or int(asked) < 1:
        raise UserError(f"{VARIABLE}={asked} is no number of processes; allowed: 1, 2, ...")
    count = int(asked)
    if count == 1 or "RANK" in os.environ:
        return
    threads = max(1, (os.cpu_count() or 1) // count)
    common = {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]
    try:
        code = _first_failure(processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    sys.stdout.flush()
    sys.exit(code)


def _first_failure(processes: list[subprocess.Popen[bytes]]) -> int:
    """Wait until all are through (0) or one failed (its exit code)."""
    while True:
        codes = [process.poll() for process in processes]
        if failed := [code for code in codes if code]:
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if None not in codes:
            return 0
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
