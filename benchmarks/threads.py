"""What a training costs on one thread with fixed instructions, against what libraries would choose.

    python benchmarks/threads.py

Two trainings of the default's extractor (an epoch of 800 synthetic faces, a process each), in each
of the ways below, in turns; the least of each is kept, by the clock and of all processors together.
Results, and ratios to the first way: benchmarks/threads.json.
"""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from machine import ENVIRONMENT, describe_machine, values_of, write_results
from timing import in_turns

from fsr_fer.common.files import write_json
from fsr_fer.pipeline.profiles import read_yaml
from tests.pipeline.test_stages import workspace

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
) -> None:
    """A training in each folder, each a process."""
    running = []
    for folder in folders:
        command = [sys.executable, *program]
        running.append(subprocess.Popen(command, cwd=folder, env=ENVIRONMENT | environment))
        if not side_by_side:
            running[-1].wait()
    if any(process.wait() for process in running):
        sys.exit("a training failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folders = [prepared(Path(scratch) / str(number)) for number in range(2)]
        runs = [partial(train, folders, *way) for way in WAYS.values()]
        least = in_turns(*runs, repeats=options.repeats)
    results = {
        name: {
            "seconds": round(found.wall, 2),
            "processor_seconds": round(found.processor, 2),
            "ratio": round(found.wall / least[0].wall, 2),
            "processor_ratio": round(found.processor / least[0].processor, 2),
        }
        for name, found in zip(WAYS, least, strict=True)
    }
    write_results(__file__, {"machine": describe_machine("torch"), **results})


if __name__ == "__main__":
    main()
