"""What a training costs on one thread with fixed instructions, against what libraries would choose.

    python benchmarks/threads.py

Two trainings of the default's extractor (an epoch of 800 synthetic faces, a process each), in each
of the ways below, in turns; the least of each is kept, by the clock and of all processors together.
Results, and ratios to the first way: benchmarks/threads.json.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine, values_of, write_results
from timing import Least

ENVIRONMENT = {**os.environ, "FSR_FER_DEVICE": "cpu"}  # before tests are imported, which pin it
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fsr_fer.common.files import write_json  # noqa: E402
from fsr_fer.pipeline.profiles import read_yaml  # noqa: E402
from tests.pipeline.test_stages import workspace  # noqa: E402

RESULTS = Path(__file__).with_suffix(".json")
NATIVE = {"FSR_FER_ARITHMETIC": "native"}
STAGE = ("-m", "stages.pretrain")
GIVING_BACK = (
    "-c",
    "import runpy; from fsr_fer.common import memory; memory.keep_freed_memory = lambda: None;"
    "runpy.run_module('stages.pretrain', run_name='__main__', alter_sys=True)",
)
WAYS: dict[str, tuple[bool, dict[str, str], tuple[str, str]]] = {
    "native, all cores, one after the other": (False, NATIVE, STAGE),
    "native, threads that wait by spinning": (False, NATIVE | {"OMP_WAIT_POLICY": "ACTIVE"}, STAGE),
    "native, one thread, side by side": (True, NATIVE | {"OMP_NUM_THREADS": "1"}, STAGE),
    "pinned, one after the other": (False, {}, STAGE),
    "pinned, side by side": (True, {}, STAGE),
    "pinned, side by side, freed memory given back": (True, {}, GIVING_BACK),
}


def prepared(folder: Path) -> Path:
    """A folder in which the next stage is an epoch of the default's extractor."""
    folder = workspace(folder)
    params = read_yaml(folder / "params.yaml")
    params["pretrain"] = values_of("small")["pretrain"] | {
        "epochs": 1,
        "learning_rate_milestones": [1],
    }
    params["synthesize"] |= {"train_faces": 896, "test_faces": 70}
    write_json(folder / "params.yaml", params)  # JSON is YAML
    for stage in ("code", "settings", "synthesize small", "dataset"):
        command = [sys.executable, "-m", *f"stages.{stage}".split()]
        subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True)
    return folder


def train(
    folders: list[Path], side_by_side: bool, environment: dict[str, str], program: tuple[str, str]
) -> Least:
    """Seconds that the trainings took, by the clock and of all processors."""
    command = [sys.executable, *program]
    environment = ENVIRONMENT | environment
    used, started = processor_seconds(), time.perf_counter()
    running = []
    for folder in folders:
        running.append(subprocess.Popen(command, cwd=folder, env=environment))
        if not side_by_side:
            running[-1].wait()
    if any(process.wait() for process in running):
        sys.exit("a training failed")
    return Least(time.perf_counter() - started, processor_seconds() - used)


def processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    least = {name: Least() for name in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        folders = [prepared(Path(scratch) / str(number)) for number in range(2)]
        for _ in range(options.repeats):
            for name, way in WAYS.items():
                took = train(folders, *way)
                least[name].wall = min(least[name].wall, took.wall)
                least[name].processor = min(least[name].processor, took.processor)
                print(f"{name}: {took}", flush=True)
    first, *_ = least.values()
    results: dict[str, Any] = {
        name: {
            "seconds": round(found.wall, 2),
            "processor_seconds": round(found.processor, 2),
            "ratio": round(found.wall / first.wall, 2),
            "processor_ratio": round(found.processor / first.processor, 2),
        }
        for name, found in least.items()
    }
    write_results(RESULTS, {"machine": describe_machine(("torch",)), **results})


if __name__ == "__main__":
    main()
