"""What `dvc repro` does, with independent stages in parallel.

DVC runs one stage at a time. Here each stage is a process of DVC's, as many at a time as there are
cores; they wait for DVC's lock only while one of them reads or writes dvc.lock.
"""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, get_args

from tabulate import tabulate

from fsr_fer.common.arithmetic import is_pinned
from fsr_fer.common.errors import UserError
from fsr_fer.common.files import exclusive
from fsr_fer.data.settings import SourceName
from fsr_fer.pipeline.graph import Graph, graph_of
from fsr_fer.pipeline.paths import PIPELINE_FILE
from fsr_fer.pipeline.profiles import Values, profile_values
from fsr_fer.pipeline.provenance.record import last_runs
from fsr_fer.pipeline.provenance.revision import Revision, holds
from fsr_fer.pipeline.recovery import keep_lock, recover

DVC = [sys.executable, "-m", "dvc", "--wait-for-lock"]

GUESSES = {
    "sr": 100,
    "pretrain": 160,
    "finetune": 160,
    "distill": 230,
    "fsr": 100,
    "sr_faces": 100,
    "restore": 60,
}
"""Seconds of the default's long stages, for those that have never run here; 10 for the others."""

ASKED_EVERY = 5.0
"""Seconds after which a stage is told again to end: DVC may have started it after it was told."""


def reproduce(root: Path, jobs: int | None) -> None:
    """Run the stages that have changed and those behind them, up to ``jobs`` at a time.

    ``root`` is the current folder. Without ``jobs``, see ``default_jobs``. If a stage fails or
    Ctrl-C is pressed, the others end too and keep their checkpoints. At the end `dvc repro` itself
    confirms that everything is done. UserError if a stage failed (its output is on stderr), DVC
    cannot read the project, or another process runs it.
    """
    with exclusive(root / ".runs" / "repro", "the pipeline"):
        recover(root)
        graph = graph_of(root)
        inputs = {name: inputs_of(graph, name) for name in graph}
        changed = _changed(root) & inputs.keys()
        keep_lock(root)
        if changed & {"code", "settings"}:
            # All others read what these two write; often, after a comment say, it is the same.
            _repro("--quiet", "code", "settings")
            changed = _changed(root) & inputs.keys()
        if not changed:
            print("Data and pipelines are up to date.")
            return
        from fsr_fer.common.device import choose_device  # loads torch, which takes seconds

        before = last_runs(root)
        choose_device()  # says before a stage begins if FSR_FER_DEVICE cannot be used
        places = jobs or default_jobs()
        if places > 1:
            _run_side_by_side(inputs, changed, before, root, places)
        _repro(*(["--quiet"] if places > 1 else []))
        if runs := {name: run for name, run in last_runs(root).items() if run != before.get(name)}:
            print(times(runs))


def require_faces(root: Path, params: Values) -> None:
    """UserError if the selected profile has no faces here, with the command that brings them."""
    profile = params["profile"]
    folder = f"data/raw/{profile}"
    drawn = any(folder in node["outs"] for node in graph_of(root).values())
    there = any(path.is_file() for path in (root / folder).rglob("*"))
    if drawn or there:
        return
    source = profile_values(params, profile)["dataset"]["source"]
    if source == "synthetic":
        raise UserError(
            f"no stage draws the faces of profile {profile}; add {profile} to the list of "
            f"synthesize in {PIPELINE_FILE}, or name a source that is imported"
        )
    kinds = [source]
    if source == "several":
        kinds = [kind for kind in get_args(SourceName) if kind != "synthetic"]
    kept = "`dvc checkout`, `dvc pull` or " if (root / f"{folder}.dvc").exists() else ""
    raise UserError(
        f"profile {profile} has no faces here; bring them with "
        f"{kept}`fsr-fer import {'|'.join(kinds)} PATH --profile {profile}`"
    )


def default_jobs() -> int:
    """One process per core; a single one if each uses all cores, or a GPU."""
    from fsr_fer.common.device import choose_device

    if not is_pinned() or choose_device().type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _repro(*words: str) -> None:
    process = begin([*DVC, "repro", *words])
    try:
        failed = process.wait()
    except BaseException:
        end([process])
        raise
    if failed:
        raise UserError(f"`dvc {' '.join(['repro', *words])}` failed")


def times(runs: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(name, run["seconds"], run["processor_seconds"]) for name, run in runs.items()]
    rows.sort(key=lambda row: -row[1])
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    heads = ("where the time went", "seconds", "of processor")
    return tabulate([*rows[:10], total], heads, floatfmt=".0f")


def seconds_of(name: str, runs: Mapping[str, Mapping[str, Any]]) -> float:
    """How long a stage takes by the record of its last run, or by a guess."""
    guess = {"seconds": GUESSES.get(name.partition("@")[0], 10)}
    return float(runs.get(name, guess)["seconds"])


def inputs_of(graph: Graph, name: str) -> set[str]:
    """The stages whose outputs a stage reads."""
    return {
        other
        for other, node in graph.items()
        for out in node["outs"]
        for dep in graph[name]["deps"]
        if holds(dep, out) or holds(out, dep)
    }


def _changed(root: Path) -> set[str]:
    """Stages whose code, settings, inputs or outputs are not those of dvc.lock, as DVC says."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            outs = [out for out in repo.index.outs if out.hash_info and out.use_cache]
            # Although the cache has it all, DVC would run stages again whose metrics Git keeps.
            if missing := [out.fs_path for out in outs if not out.exists]:
                repo.checkout(missing, allow_missing=True)
            return set(repo.status())
    except DvcException as error:
        raise UserError(f"DVC says: {' '.join(str(error).split())}") from None


def _run_side_by_side(
    inputs: Mapping[str, set[str]],
    changed: set[str],
    runs: Mapping[str, Mapping[str, Any]],
    root: Path,
    jobs: int,
) -> None:
    """Run what has changed and what reads its new outputs, first what most depends on.

    ``runs`` are the records of earlier ones, which say how long each stage takes.
    """
    from dvc.repo import Repo

    @cache
    def seconds_to_the_end(name: str) -> float:
        behind = [seconds_to_the_end(other) for other in inputs if name in inputs[other]]
        return seconds_of(name, runs) + max(behind, default=0.0)

    processes: dict[str, subprocess.Popen[str]] = {}
    running: dict[Future[tuple[float, str | None]], str] = {}
    ready: list[str] = []
    repo = Repo(str(root), _wait_for_lock=True)
    before, renewed = _outs(repo), set[str]()
    left = set[str]()
    for name in TopologicalSorter(inputs).static_order():
        if name in changed or inputs[name] & left:
            left.add(name)
    total = len(left)

    def say(name: str, what: str) -> None:
        print(f"{total - len(left):3} of {total}  {name:30} {what:>8}", flush=True)

    sorter = TopologicalSorter(inputs)
    sorter.prepare()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while sorter.is_active():
                while names := sorter.get_ready():
                    due = {name for name in names if name in changed or inputs[name] & renewed}
                    ready += due
                    left.difference_update(set(names) - due)
                    sorter.done(*(name for name in names if name not in due))
                ready.sort(key=seconds_to_the_end)
                while ready and len(running) < jobs:
                    name = ready.pop()
                    say(name, "starts")
                    running[pool.submit(_run, name, processes)] = name
                if not running:
                    break
                future = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                name = running.pop(future)
                seconds, failed = future.result()
                if failed is not None:
                    print(failed, end="", file=sys.stderr)
                    raise UserError(f"{name} failed")
                left.remove(name)
                say(name, f"{seconds:.0f} s")
                if _outs(repo).get(name) != before.get(name):
                    renewed.add(name)
                sorter.done(name)
        except BaseException:
            end(processes.values())
            raise


def _outs(repo: Any) -> dict[str, Any]:
    """Each stage's outputs in dvc.lock, while no process of DVC writes it."""
    root = Path(repo.root_dir)
    with repo.lock:
        lock = Revision(root, locked=True).lock
        keep_lock(root)
    return {name: entry.get("outs") for name, entry in lock.items()}


def begin(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a process that ``end`` can end, with all that it starts."""
    # A group of its own: DVC hands no signal on.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, text=True, process_group=0, **options
    )


def end(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Have processes that ``begin`` started, and theirs, save their checkpoints and end."""
    asked = -math.inf
    while left := [process for process in processes if _signal(process, 0)]:
        if time.monotonic() > asked + ASKED_EVERY:
            asked = time.monotonic()
            for process in left:
                _signal(process, signal.SIGTERM)  # what runs in the background ignores Ctrl-C
        time.sleep(0.1)


def _signal(process: subprocess.Popen[str], number: int) -> bool:
    """Send a signal to a process and all of its group; whether one is left."""
    process.poll()  # one that has ended is left until it is asked for its exit code
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _run(name: str, processes: dict[str, subprocess.Popen[str]]) -> tuple[float, str | None]:
    """Run one stage; how long it took in seconds, and if it failed, what it said."""
    started = time.monotonic()
    command = [*DVC, "repro", "--single-item", name]
    processes[name] = begin(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = processes[name].communicate()
    return time.monotonic() - started, said if processes[name].returncode else None
