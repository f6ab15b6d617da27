"""Kill trainings at any moment and see whether they end as if nobody had.

    python benchmarks/kill.py --kills 100 pretrain
    python benchmarks/kill.py --kills 100 fsr

The real stage scripts on a very small profile. Each training is killed (SIGKILL) once at a random
moment, every fourth one again after it was resumed, then left to end. What DVC would delete before
it starts a stage again is deleted before each start. The weights' file and the curves must have the
bytes of a run that nobody disturbed, and nothing half-written may be left. Two in five of the kills
are aimed at the saving of a checkpoint: at a random line of it, or when only a part of the file's
bytes has been written. Any difference ends in exit code 1; the counts go to benchmarks/kill.json.

The trainings are forks of this process, which has torch loaded, so that each starts at once.
"""

import argparse
import collections
import importlib
import json
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
from types import FrameType
from typing import Any

import dvclive  # noqa: F401  loaded here once; a fork then has it
import torch
from machine import ROOT, describe_machine, write_results

import fsr_fer.pipeline.run_stage
from fsr_fer.common.files import write_json
from fsr_fer.pipeline.profiles import read_yaml
from fsr_fer.pipeline.stage import load_stage
from fsr_fer.training import checkpoint
from tests.pipeline.test_stages import workspace
from tests.stage_server import stage_server

AIMS = ("any moment", "any moment", "any moment", "line of a save", "part of the bytes")

Sabotage = Callable[[], None]
"""What a fork does to itself before it begins."""


class Training:
    """One stage in a folder of its own, run in forks of this process; it saves ``saves`` times."""

    def __init__(self, folder: Path, name: str, item: str | None, saves: int) -> None:
        self.name, self.item, self.saves = name, item, saves
        self.folder = prepared(folder, until=name, saves=saves)
        os.chdir(self.folder)
        stage = load_stage(f"{name}@{item}" if item else name)
        self.outs = [self.folder / out for out in stage.outs]
        self.expected, self.seconds = self._undisturbed()

    def _undisturbed(self) -> tuple[dict[str, bytes], float]:
        seconds = []
        for _ in range(2):  # the first one is slower: it loads what is loaded late
            self.forget()
            start = time.monotonic()
            if wait(self.start()) != 0:
                sys.exit(f"{self.name} failed without being killed")
            seconds.append(time.monotonic() - start)
        return self.results(), min(seconds)

    def forget(self) -> None:
        """As if the stage had never run here."""
        shutil.rmtree(self.folder / ".ckpt", ignore_errors=True)
        self.delete_outs()

    def delete_outs(self) -> None:
        """What DVC does before it runs a stage."""
        for out in self.outs:
            if out.is_dir():
                shutil.rmtree(out)
            else:
                out.unlink(missing_ok=True)

    def start(self, sabotage: Sabotage = lambda: None) -> int:
        """Begin the stage in a fork and return its process id."""
        main = importlib.import_module(f"stages.{self.name}").main
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        try:
            sys.argv = [f"stages/{self.name}.py", *([self.item] if self.item else [])]
            sys.stderr = open(self.folder / "stderr", "a", encoding="utf-8")  # noqa: SIM115
            # This process has loaded what other stages need as well.
            fsr_fer.pipeline.run_stage.require_own_code = lambda stage: None
            sabotage()
            fsr_fer.pipeline.run_stage.run_stage(main)
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 1)
        finally:
            os._exit(70)

    def results(self) -> dict[str, bytes]:
        """Every file that the stage leaves to DVC, and whatever is half-written."""
        files: list[Path] = []
        for out in self.outs:
            files += [p for p in out.rglob("*") if p.is_file()] if out.is_dir() else [out]
        files += self.folder.rglob("*.part")
        return {str(f.relative_to(self.folder)): f.read_bytes() for f in sorted(files)}

    def found(self) -> str:
        """Where the training was when it was killed, told by what lies in its folder."""
        if self.outs[0].exists():
            return "after the weights were written"
        if list((self.folder / ".ckpt").rglob("*.part")):
            return "while a checkpoint was written"
        saved = list((self.folder / ".ckpt").rglob(checkpoint.STATE))
        return "between checkpoints" if saved else "before the first checkpoint"


def prepared(folder: Path, until: str, saves: int) -> Path:
    """A folder in which every stage before ``until`` has run."""
    folder = workspace(folder)
    params = read_yaml(folder / "params.yaml")
    params["pretrain"] |= {"epochs": saves, "learning_rate_milestones": [2]}
    params["fsr"] |= {
        "iterations": 4 * saves,
        "validation_every": 4,
        "learning_rate_milestones": [9],
    }
    write_json(folder / "params.yaml", params)  # JSON is YAML
    stages = [*("code", "settings", "synthesize small", "dataset"), "pretrain"]
    stages += ["downsample 2", "downsample 8", "features hr", "features 2", "features 8", "fsr"]
    with stage_server(folder / "server") as python:
        for stage in stages[: stages.index(until)]:
            subprocess.run([python, "-m", *f"stages.{stage}".split()], cwd=folder, check=True)
    return folder


def wait(process: int) -> int:
    """The exit code of a child, negative for the signal that ended it."""
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_a_line_of_a_save(chance: random.Random, saves: int) -> Sabotage:
    """Die before a random line of a random save is executed."""
    left = chance.randrange(25 * saves)  # about as many as all saves have

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                die()
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        saving = code.co_name == "save" and code.co_filename == checkpoint.__file__
        below = code.co_name == "replacing" and "state" in str(frame.f_locals.get("path", ""))
        return on_line if saving or below else None

    return lambda: sys.settrace(on_call)


def die_in_the_middle_of_a_file(chance: random.Random, saves: int) -> Sabotage:
    """Die when a random part of a random checkpoint has been written."""
    left, share = chance.randrange(saves), chance.random()
    write_tensors = checkpoint.write_tensors

    def partly(tensors: Any, path: Path, metadata: Any) -> None:
        nonlocal left
        write_tensors(tensors, path, metadata)
        left -= 1
        if left < 0:
            os.truncate(path, int(share * path.stat().st_size))
            die()

    def sabotage() -> None:
        checkpoint.write_tensors = partly

    return sabotage


def killed(training: Training, aim: str, chance: random.Random) -> bool:
    """Start the training and kill it; whether it did not end before."""
    if aim == "any moment":
        return killed_after(training, chance.uniform(0, training.seconds))
    if aim == "line of a save":
        sabotage = die_at_a_line_of_a_save(chance, training.saves)
    else:
        sabotage = die_in_the_middle_of_a_file(chance, training.saves)
    return wait(training.start(sabotage)) == -signal.SIGKILL


def killed_after(training: Training, seconds: float) -> bool:
    """Start the training and kill it then; if it ends before, its time is taken note of."""
    start = time.monotonic()
    process = training.start()
    while time.monotonic() - start < seconds:
        ended, _ = os.waitpid(process, os.WNOHANG)
        if ended:  # the machine has become faster, and later moments are too late
            training.seconds = time.monotonic() - start
            return False
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    return wait(process) == -signal.SIGKILL


def kill_often(training: Training, kills: int, chance: random.Random) -> dict[str, Any]:
    """Kill as many trainings, let each end, compare; counts of what happened."""
    where: collections.Counter[str] = collections.Counter()
    aims: collections.Counter[str] = collections.Counter()
    equal = done = 0
    while done < kills:
        training.forget()
        aim = AIMS[done % len(AIMS)]
        if not killed(training, aim, chance):
            continue  # it was faster than the kill: another moment is drawn
        again = done % 4 == 3
        for more in [False, True] if again else [False]:
            if more:
                training.delete_outs()
                if not killed(training, "any moment", chance):
                    continue
            aims["again, any moment" if more else aim] += 1
            where[training.found()] += 1
        done += 1
        training.delete_outs()
        code = wait(training.start())
        same = code == 0 and training.results() == training.expected
        equal += same
        if not same:
            print(f"\nkill {done} ({aim}): exit code {code}, other results", file=sys.stderr)
        print(f"\r{training.name}: {equal} of {done} equal", end="", flush=True)
    print()
    return {
        "trainings": done,
        "equal": equal,
        "kills": sum(where.values()),
        "killed": dict(sorted(where.items())),
        "aimed_at": dict(sorted(aims.items())),
        "files_compared": len(training.expected),
        "seconds_undisturbed": round(training.seconds, 2),
    }


def main() -> None:
    """Kill one training as often as asked and say how many ended as if undisturbed."""
    parser = argparse.ArgumentParser(description="Kill trainings and compare what they end with.")
    parser.add_argument("training", choices=("pretrain", "fsr"))
    parser.add_argument("--kills", type=int, default=100, help="trainings killed (100)")
    parser.add_argument("--saves", type=int, default=15, help="checkpoints of a training (15)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--results", type=Path, default=__file__, help="a JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a fork has none of its parent's other threads
    os.environ |= {"FSR_FER_DEVICE": "cpu"}
    os.environ.pop("DVC_ROOT", None)
    results_file = arguments.results.resolve()
    item = "reweighted" if arguments.training == "fsr" else None
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Path(folder) / "project", arguments.training, item, arguments.saves)
        found = kill_often(training, arguments.kills, random.Random(arguments.seed))
        os.chdir(ROOT)
    machine = describe_machine("numpy", "torch", "safetensors", "dvclive")
    write_results(results_file, {"machine": machine, arguments.training: found}, add=True)
    print(json.dumps(found, indent=2))
    sys.exit(found["equal"] < found["trainings"])


if __name__ == "__main__":
    main()
