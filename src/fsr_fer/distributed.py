"""One piece of work shared by several processes, on one machine or more.

A stage runs in ``FSR_FER_PROCESSES`` processes of this machine, or under ``torchrun`` on as many
machines as it is told: both set RANK, WORLD_SIZE and the address where the processes meet. How many
they are changes no result (a training's: but for rounding), so it is no param.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from fsr_fer.errors import UserError

VARIABLE = "FSR_FER_PROCESSES"
PATIENCE = datetime.timedelta(days=7)
"""How long processes wait for one another; the slowest may have hours of work left."""

PEER_LOST = 75
"""Exit code of a process that stopped only because another one had: it has nothing to say."""
_SETTLING_SECONDS = 15
"""How long the others may take to end by themselves when one has: until then who is to blame may
still be busy ending, and seems to be well."""
_LIFELINE = "FSR_FER_LIFELINE"
"""Names the pipe that ends when the process that started this one does."""


@dataclass(frozen=True)
class Ranks:
    """A process's place among all."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that does what only one may do."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """The part of this process of ``total`` things in a row; parts differ by one at most."""
        return slice(total * self.rank // self.world, total * (self.rank + 1) // self.world)

    def meet(self) -> None:
        """Join the others; the first call waits until all are there."""
        import torch
        import torch.distributed as dist

        if self.world > 1 and not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)

    def wait_for_all(self) -> None:
        """Return when all processes have come here."""
        if self.world > 1:
            import torch
            import torch.distributed as dist

            self.meet()
            dist.all_reduce(torch.zeros(1))  # on CPUs; a barrier would ask for a GPU

    def leave(self) -> None:
        """Part when all have come here; the process ends unless it is the first one."""
        if self.world > 1:
            import torch.distributed as dist

            self.wait_for_all()
            dist.destroy_process_group()
        if not self.first:
            sys.exit(0)


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
    others are stopped, and its exit code and what it said become ours: one message, whichever and
    how many of them failed.

    Raises:
        UserError: FSR_FER_PROCESSES is no number from 1, or a process was killed.
    """
    asked = os.environ.get(VARIABLE, "1")
    if not asked.isdecimal() or int(asked) < 1:
        raise UserError(f"{VARIABLE}={asked} is no number of processes; allowed: 1, 2, ...")
    count = int(asked)
    if "RANK" in os.environ:
        _be_one_of_many()
        return
    if count == 1:
        return
    with contextlib.ExitStack() as opened:
        said: list[IO[bytes] | None] = [None]  # the first one's goes where ours does: to a terminal
        said += [opened.enter_context(tempfile.TemporaryFile()) for _ in range(1, count)]
        with _started(count, said) as processes:
            failed = _first_failure(processes)
        if failed is None:
            sys.exit(0)
        codes = [process.returncode for process in processes]
        if codes[failed] < 0:
            name = signal.Signals(-codes[failed]).name
            why = " (out of memory?)" if name == "SIGKILL" else ""
            raise UserError(
                f"process {failed + 1} of {count} was ended by {name}{why}, so all were; "
                "`dvc repro` goes on from the last checkpoint"
            )
        file = said[failed]
        if file is not None and codes[0] in (PEER_LOST, -signal.SIGTERM):
            file.seek(0)
            sys.stderr.write(file.read().decode("utf-8", "replace"))
        sys.stdout.flush()
        sys.stderr.flush()
        sys.exit(codes[failed])


@contextlib.contextmanager
def _started(count: int, said: list[IO[bytes] | None]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The script in ``count`` processes, all ended when the block is left."""
    threads = max(1, (os.cpu_count() or 1) // count)
    ours, theirs = os.pipe()
    common = {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        _LIFELINE: str(ours),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=said[rank],
            pass_fds=[ours],
        )
        for rank in range(count)
    ]
    os.close(ours)
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        os.close(theirs)


def _first_failure(processes: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all are through (None) or one failed (which one).

    Whoever only lost a peer is not the one to blame, even if it is seen first; and where all stop
    for the same reason the first one says so.
    """
    patience = math.inf
    while None in (codes := [process.poll() for process in processes]):
        if any(codes):
            patience = min(patience, time.monotonic() + _SETTLING_SECONDS)
            if time.monotonic() > patience:
                break
        time.sleep(0.05)
    failed = [rank for rank, code in enumerate(codes) if code]
    return min(failed, key=lambda rank: (codes[rank] == PEER_LOST, rank), default=None)


def _be_one_of_many() -> None:
    """Leave the talking to the process that started this one, and end when it does.

    An error that says no more than that another process has ended is not shown.
    """
    shown = sys.excepthook

    def show(kind: Any, error: BaseException, trace: Any) -> None:
        if _is_loss_of_a_peer(error):
            os._exit(PEER_LOST)
        shown(kind, error, trace)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # gloo's threads would abort an interpreter that ends around them

    sys.excepthook = show
    if _LIFELINE not in os.environ:  # torchrun's
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the starter too, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, even while waiting for the others

    def watch(descriptor: int) -> None:
        os.read(descriptor, 1)
        os._exit(PEER_LOST)

    pipe = int(os.environ[_LIFELINE])
    threading.Thread(target=watch, args=(pipe,), daemon=True).start()


def _is_loss_of_a_peer(error: BaseException) -> bool:
    network = type(error).__name__ in ("DistBackendError", "DistNetworkError")
    return network or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
