"""Whether `make repro` ends with the same bytes after kills, full disks, two runs at once.

    python benchmarks/hard_stops.py             # all of it, hours; or parts by name

`fsr-fer repro` in clones of this repository with very small profiles and four methods:

- the whole process group is killed (SIGKILL) at 50 random moments, up to five times in one run;
- the disk is full, at 20 random sizes: the clone, its home and its cache lie on a file system of
  their own in memory, which only root may mount;
- DVC's cache may not be written;
- two runs start in one folder, and two in two folders that share one cache.

After each the command is run again, uninterrupted, and must leave every output and dvc.lock with
the bytes of an uninterrupted run. An interrupted run must end well or with one line of its own, and
never with a traceback. Any miss ends in exit code 1; counts go to benchmarks/hard_stops.json.
"""

import argparse
import contextlib
import functools
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from machine import describe_machine, write_results

from tests.scratch import Scratch, clone

KEPT = ("data", "metrics", "models", "code.json", "dvc.lock", "settings.json")
KILLS_OF_A_RUN = 5


class Project:
    """A clone in which nothing has run, copied anew for each disturbance."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance, self.number = folder, random.Random(seed), 0
        self.clean = clone(folder / "clean", folder / "cache")
        undisturbed = self.fresh()
        before = used(undisturbed.root.parent)
        started = time.monotonic()
        code, said = end(start(undisturbed))
        if code:
            sys.exit(f"the undisturbed run failed:\n{said}")
        self.seconds = time.monotonic() - started
        self.expected = hashes(undisturbed.root)
        self.bytes = used(undisturbed.root.parent) - before
        shutil.rmtree(undisturbed.root.parent)

    def fresh(self, cache: Path | None = None, mount: str = "") -> Scratch:
        """A copy with a cache of its own, or with this one; in a file system with these options."""
        self.number += 1
        folder = self.folder / str(self.number)
        folder.mkdir()
        if mount:
            subprocess.run(["mount", "-t", "tmpfs", "-o", mount, "tmpfs", folder], check=True)
        made = self.clean.copy(folder)
        made.must(f"dvc config --local cache.dir {cache or made.root.parent / 'cache'}")
        return made

    def ends_right(self, scratch: Scratch) -> bool:
        """Whether an undisturbed run now ends with the expected bytes."""
        code, said = end(start(scratch))
        found = hashes(scratch.root)
        different = [name for name in self.expected if found.get(name) != self.expected[name]]
        if code or different:
            print(f"exit code {code}, different: {different}\n{said}", file=sys.stderr)
        if os.path.ismount(scratch.root.parent):
            subprocess.run(["umount", scratch.root.parent], check=True)
        shutil.rmtree(scratch.root.parent)
        return not code and not different


def used(folder: Path) -> int:
    """Bytes of all files, in blocks of 4,096."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(-(-file.stat().st_size // 4096) * 4096 for file in files)


def start(scratch: Scratch) -> subprocess.Popen[str]:
    """`fsr-fer repro` as a process group of its own."""
    return subprocess.Popen(
        ["fsr-fer", "repro"],
        cwd=scratch.root,
        env=scratch.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for it; exit code and what it said."""
    said, _ = process.communicate()
    return process.returncode, said


def hashes(root: Path) -> dict[str, str]:
    files = [f for top in KEPT for f in [root / top, *(root / top).rglob("*")] if f.is_file()]
    return {str(f.relative_to(root)): hashlib.md5(f.read_bytes()).hexdigest() for f in files}


def kills(project: Project, count: int) -> dict[str, int]:
    """Kill everything at random moments, go on, and see what it ends with."""
    runs = right = done = 0
    while done < count:
        scratch, runs = project.fresh(), runs + 1
        for _ in range(min(KILLS_OF_A_RUN, count - done)):
            process = start(scratch)
            moment = project.chance.uniform(0, project.seconds / 2)
            try:
                process.wait(moment)
                end(process)
                break  # it ended before, and the next run does nothing
            except subprocess.TimeoutExpired:
                power_cut(process.pid)
                end(process)
                done += 1
        right += project.ends_right(scratch)
        print(f"\rkilled {done} times in {runs} runs, {right} the same bytes", end="", flush=True)
    print()
    return {"kills": done, "runs": runs, "same_bytes": right}


def power_cut(session: int) -> None:
    """Kill every process of a session at once."""
    while ids := [p.pid for p in psutil.process_iter() if p.is_running() and of(p, session)]:
        for process_id in ids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


def of(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def disturbed(project: Project, scratch: Scratch, lift: Callable[[], object]) -> dict[str, int]:
    """A run under a hardship, and one after it is lifted."""
    code, said = end(start(scratch))
    lift()
    clear = code == 0 or (code == 1 and "Traceback" not in said and "fsr-fer: " in said)
    if not clear:
        print(f"exit code {code}:\n{said}", file=sys.stderr)
    same = project.ends_right(scratch)
    return {"runs": 1, "failed": int(code != 0), "in_one_line": int(clear), "same_bytes": int(same)}


def full_disk(project: Project, count: int) -> dict[str, int]:
    """A disk has room for a random share of what a run writes."""
    total: dict[str, int] = {}
    for number in range(count):
        scratch = project.fresh(mount="size=4g")
        folder = scratch.root.parent
        room = shutil.disk_usage(folder).used + int(project.chance.random() * project.bytes)
        resize(folder, str(room))
        one = disturbed(project, scratch, functools.partial(resize, folder, "4g"))
        total = {key: total.get(key, 0) + value for key, value in one.items()}
        print(f"\rfull disk {number + 1}: {total}", end="", flush=True)
    print()
    return total


def resize(folder: Path, size: str) -> None:
    """Give a file system in memory another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def read_only_cache(project: Project) -> dict[str, int]:
    scratch = project.fresh()
    cache = scratch.root.parent / "cache"
    cache.mkdir()
    if os.geteuid() == 0:  # root may write everywhere but where there is no folder to write in
        cache.rmdir()
        cache.write_text("")
        return disturbed(project, scratch, cache.unlink)
    cache.chmod(0o500)
    return disturbed(project, scratch, lambda: cache.chmod(0o700))


def two_at_once(project: Project, times: int, folders: int) -> dict[str, int]:
    """Two runs in one folder, or in two that share a cache."""
    ended = refused = right = 0
    for number in range(times):
        shared = project.folder / f"shared-{folders}-{number}"
        places = [project.fresh(shared) for _ in range(folders)]
        processes = [start(places[0]), start(places[-1])]
        outcomes = [end(process) for process in processes]
        ended += sum(code == 0 for code, _ in outcomes)
        refused += sum("the pipeline is already running" in said for _, said in outcomes)
        right += sum(project.ends_right(place) for place in places)
    runs = times * folders
    return {"runs": runs, "ended": ended, "refused": refused, "same_bytes": right}


def misses(found: dict[str, int]) -> bool:
    """Whether a run ended with other bytes, or without its one line."""
    runs = found["runs"]
    return found["same_bytes"] < runs or found.get("in_one_line", runs) < runs


PARTS: dict[str, Callable[[Project], dict[str, int]]] = {
    "killed": functools.partial(kills, count=50),
    "full_disk": functools.partial(full_disk, count=20),
    "read_only_cache": read_only_cache,
    "two_in_one_folder": functools.partial(two_at_once, times=5, folders=1),
    "two_folders_one_cache": functools.partial(two_at_once, times=5, folders=2),
}


def main() -> None:
    """Try the parts that were asked for, and write what is found after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), options.seed)
        undisturbed = {
            "seconds": round(project.seconds),
            "files_compared": len(project.expected),
        }
        results = {"machine": describe_machine("dvc", "torch"), "undisturbed": undisturbed}
        for part in options.parts or PARTS:
            results[part] = PARTS[part](project)
            print(part, results[part])
            write_results(__file__, results, add=True)
            missed += [part] * misses(results[part])
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
