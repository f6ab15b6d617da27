"""Whether other processors and other numbers of cores give the same bytes.

    python benchmarks/same_bytes.py

Stages of a very small profile, from drawn faces over a training of each kind to predictions, run on
all of this machine's cores, on one of them, and on an Intel Haswell and an AMD EPYC as qemu-user
emulates them (Debian's package qemu-user). Compared is every file of data/, models/ and metrics/.
With FSR_FER_ARITHMETIC=native, all cores and one differ, and single operations differ by processor;
whole stages are not run so under emulation, where qemu 7.2 ends by a segmentation fault.

One operation is left out: torch's grid_sample, which turns faces while a network trains, reads its
nearest pixel here instead of interpolating. qemu 7.2 executes AVX2's gather wrongly, which the
operations at the end of the results show: `grid_sample` differs from this machine by whole grey
levels under emulation, and not at all in torch's build for processors without AVX2.

Results: benchmarks/same_bytes.json.
"""

import argparse
import hashlib
import importlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
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
    *("finetune mixed_resolution", "finetune orthogonal_updates"),
    "distill ensemble_distillation",
    *("natural", "sr rcan_x2", "sr meta_sr", "sr_faces", "restore meta_sr_retrained"),
    *("evaluate fsr_reweighted", "evaluate mixed_resolution", "evaluate ensemble_distillation"),
)
KEPT = ("data/small", "data/raw/small", "models", "metrics")


def run_here(folder: Path) -> None:
    """The stages in order, with a torch that reads the nearest pixel."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    importlib.import_module("stages")  # that of the folder; fixes arithmetic, so before torch
    import torch

    def nearest(*arguments: Any, **options: Any) -> torch.Tensor:
        return interpolating(*arguments, **options | {"mode": "nearest"})

    interpolating, torch.nn.functional.grid_sample = torch.nn.functional.grid_sample, nearest
    sys.modules["dvclive"] = None  # type: ignore[assignment]  # slow to load under emulation
    for command in COMMANDS:
        name, *arguments = command.split()
        if (stage := os.fork()) == 0:
            sys.argv = [f"stages/{name}.py", *arguments]
            runpy.run_module(f"stages.{name}", run_name="__main__")
        if os.waitpid(stage, 0)[1]:
            sys.exit(f"{command} failed")


def operations() -> dict[str, str]:
    """A hash of what single operations give."""
    importlib.import_module("stages")  # fixes arithmetic, so before NumPy and torch
    import numpy as np
    import torch

    generator = torch.Generator().manual_seed(0)
    values = torch.rand(10_001, generator=generator) + 0.01
    faces = torch.rand(2, 3, 48, 48, generator=generator) * 255
    grid = torch.rand(2, 48, 48, 2, generator=generator) * 2 - 1
    maps = torch.randn(8, 64, 200, generator=generator)
    squares = maps @ maps.transpose(1, 2) / 200
    weight = torch.randn(24, 3, 3, 3, generator=generator)
    reals = values.double().numpy()
    results = {
        "matmul": squares,
        "eigh": torch.linalg.eigh(squares).eigenvectors,
        "conv2d": torch.nn.functional.conv2d(faces, weight),
        "exp": values.exp(),
        "log": values.log(),
        "log_softmax": maps.log_softmax(1),
        "sqrt": values.sqrt(),
        "reciprocal of rsqrt": values.rsqrt().reciprocal(),
        "grid_sample": torch.nn.functional.grid_sample(faces, grid, align_corners=False),
        "NumPy's matmul": torch.from_numpy(reals[:10_000].reshape(100, 100) @ reals[:100]),
        "NumPy's exp": torch.from_numpy(np.exp(reals)),
        "NumPy's pow": torch.from_numpy(reals**1.3),
    }
    return {
        name: hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:12]
        for name, tensor in results.items()
    }


def started(prefix: list[str], arguments: list[str], environment: dict[str, str]) -> str:
    """What this script prints when it runs itself on that processor."""
    command = [*prefix, sys.executable, __file__, *arguments]
    done = subprocess.run(
        command, env=ENVIRONMENT | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    return done.stdout


def hashes(folder: Path) -> dict[str, str]:
    files = (path for top in KEPT for path in sorted((folder / top).rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def compare(scratch: Path, environment: dict[str, str], runs: Iterable[str]) -> dict[str, Any]:
    """Files that differ from those of all cores, by run."""
    from tests.pipeline.test_stages import workspace

    found: dict[str, dict[str, str]] = {}
    for name in runs:
        prefix = RUNS[name]
        if prefix and shutil.which(prefix[0]) is None:
            print(f"{name}: {prefix[0]} is not installed")
            continue
        folder = workspace(scratch / name.replace(" ", "-"))
        started(prefix, ["--run", str(folder)], environment)
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
    parser.add_argument("--operations", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_here(options.run)
        return
    if options.operations:
        print(json.dumps(operations()))
        return
    results: dict[str, Any] = {}
    for arithmetic in ("pinned", "native"):
        environment = {"FSR_FER_ARITHMETIC": arithmetic}
        with tempfile.TemporaryDirectory() as scratch:
            runs = RUNS if arithmetic == "pinned" else ("all cores", "one core")
            results[arithmetic] = compare(Path(scratch), environment, runs)
        by_run = {
            name: json.loads(started(prefix, ["--operations"], environment))
            for name, prefix in RUNS.items()
            if not prefix or shutil.which(prefix[0])
        }
        first = by_run["all cores"]
        results[arithmetic]["operations that differ"] = {
            name: [other for other, values in by_run.items() if values[name] != first[name]]
            for name in first
            if any(values[name] != first[name] for values in by_run.values())
        }
        write_results(__file__, {"machine": describe_machine("torch", "numpy"), **results})
    failed = [run for run, found in results["pinned"].items() if found.get("different")]
    sys.exit(f"not the same bytes: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
