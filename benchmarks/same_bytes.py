"""Whether other processors and other numbers of cores give the same bytes.

    python benchmarks/same_bytes.py

Stages of a very small profile, from drawn faces over a training of each kind to predictions, run on
all of this machine's cores, on one of them, and on an Intel Haswell and an AMD EPYC as qemu-user
emulates them (Debian's package qemu-user). Compared is every file of data/, models/ and metrics/.

One operation is left out: torch's grid_sample, which turns faces while a network trains, reads its
nearest pixel here instead of interpolating. qemu 7.2 executes AVX2's gather wrongly: `grid_sample`
differs from this machine by whole grey levels under emulation, and not at all in torch's build for
processors without AVX2.

Results: benchmarks/same_bytes.json.
"""

import argparse
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import ENVIRONMENT, describe_machine, write_results

QEMU = "qemu-x86_64"
RUNS: dict[str, list[str]] = {
    "all cores": [],
    "one core": ["taskset", "-c", "0"],
    "emulated Haswell": [QEMU, "-cpu", "Haswell"],
    "emulated EPYC": [QEMU, "-cpu", "EPYC"],
}
COMMANDS = (
    *("code", "settings", "synthesize small", "dataset", "downsample 2", "downsample 8"),
    *("pretrain", "features hr", "features 2", "features 8", "fsr reweighted"),
    *("finetune mixed_resolution", "finetune orthogonal_updates", "distill"),
    *("natural", "sr rcan_x2", "sr meta_sr", "sr_faces", "restore meta_sr_retrained"),
    *("evaluate fsr_reweighted", "evaluate mixed_resolution", "evaluate ensemble_distillation"),
)
KEPT = ("data/small", "data/raw/small", "models", "metrics")


def run_here(folder: Path) -> None:
    """The stages in order, with a torch that reads the nearest pixel."""
    importlib.import_module("stages")  # fixes arithmetic, so before torch
    import torch

    from tests.pipeline.forks import run_stages

    def nearest(*arguments: Any, **options: Any) -> torch.Tensor:
        return interpolating(*arguments, **options | {"mode": "nearest"})

    interpolating, torch.nn.functional.grid_sample = torch.nn.functional.grid_sample, nearest
    sys.modules["dvclive"] = None  # type: ignore[assignment]  # slow to load under emulation
    os.chdir(folder)
    run_stages(COMMANDS)


def hashes(folder: Path) -> dict[str, str]:
    files = (path for top in KEPT for path in sorted((folder / top).rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def compare(scratch: Path) -> dict[str, Any]:
    """Files that differ from those of all cores, by run."""
    from tests.pipeline.test_stages import workspace

    found: dict[str, dict[str, str]] = {}
    for name, prefix in RUNS.items():
        if prefix and shutil.which(prefix[0]) is None:
            print(f"{name}: {prefix[0]} is not installed")
            continue
        folder = workspace(scratch / name.replace(" ", "-"))
        command = [*prefix, sys.executable, __file__, "--run", folder]
        environment = ENVIRONMENT | {"FSR_FER_ARITHMETIC": "pinned"}
        subprocess.run(command, env=environment, check=True)
        found[name] = hashes(folder)
        equal = sum(found[name].get(f) == value for f, value in found["all cores"].items())
        print(f"{name}: {equal} of {len(found[name])} files are equal", flush=True)
    first, *others = found
    return {
        other: {
            "files": len(found[first]),
            "different": [f for f, md5 in found[first].items() if found[other].get(f) != md5],
        }
        for other in others
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_here(options.run)
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(Path(scratch))
    write_results(__file__, {"machine": describe_machine("torch", "numpy"), "pinned": found})
    failed = [run for run, of_run in found.items() if of_run["different"]]
    sys.exit(f"not the same bytes: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
