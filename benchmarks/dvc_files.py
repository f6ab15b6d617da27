"""What DVC asks for features in shards beside one file per face.

    python benchmarks/dvc_files.py [--faces 15000] [--dim 16]

A pipeline of one stage that writes the features of so many faces, in either form, in a repository
of its own with a folder as remote: `dvc repro`, `dvc repro` with nothing to do, `dvc push`, and
`dvc checkout` of the deleted output. Written to benchmarks/dvc_files.json and printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

from fsr_fer.features.packing import triangle_size
from fsr_fer.features.tables import SHARD_FACES
from fsr_fer.files import write_json

RESULTS = Path(__file__).with_suffix(".json")
WRITER = """
import sys
from pathlib import Path
import numpy as np
faces, size, rows = map(int, sys.argv[1:])
folder = Path("features")
folder.mkdir()
generator = np.random.default_rng(0)
for number, start in enumerate(range(0, faces, rows)):
    values = generator.standard_normal((min(rows, faces - start), size), np.float32)
    np.save(folder / f"{number:05d}.npy", values)
"""


def dvc(folder: Path, *words: str) -> float:
    """Seconds that a DVC command takes."""
    command = [sys.executable, "-m", "dvc", *words]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(faces: int, dim: int, rows: int) -> dict[str, float]:
    """Seconds of each command for files of ``rows`` faces."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "repository"
        folder.mkdir()
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        dvc(folder, "init")
        (folder / "write.py").write_text(WRITER)
        work = [sys.executable, "write.py", str(faces), str(triangle_size(dim)), str(rows)]
        dvc(folder, "stage", "add", "-n", "features", "-o", "features", " ".join(work))
        dvc(folder, "remote", "add", "-d", "store", str(Path(name) / "remote"))
        start = time.perf_counter()
        subprocess.run(work, cwd=folder, check=True)
        found = {"writing alone": time.perf_counter() - start}
        shutil.rmtree(folder / "features")
        found["dvc repro"] = dvc(folder, "repro")
        found["dvc repro, nothing to do"] = dvc(folder, "repro")
        found["dvc push"] = dvc(folder, "push")
        shutil.rmtree(folder / "features")
        found["dvc checkout"] = dvc(folder, "checkout")
        return found


def main() -> None:
    """Measure both forms in turn."""
    parser = argparse.ArgumentParser(description="Time DVC with shards and with many files.")
    parser.add_argument("--faces", type=int, default=15_000)
    parser.add_argument("--dim", type=int, default=16, help="d of the [d, d] log-matrices")
    arguments = parser.parse_args()
    shards = measure(arguments.faces, arguments.dim, SHARD_FACES)
    single = measure(arguments.faces, arguments.dim, 1)
    results: dict[str, Any] = {
        "machine": describe_machine(("dvc", "dvc-data", "numpy")),
        "faces": arguments.faces,
        "dim": arguments.dim,
        "seconds_in_shards": shards,
        "seconds_one_file_per_face": single,
        "ratios": {name: single[name] / shards[name] for name in shards},
    }
    write_json(RESULTS, results)
    print(f"{arguments.faces:,} faces{'shards':>26}{'per face':>12}{'ratio':>8}")
    for name, seconds in shards.items():
        print(f"{name:<28}{seconds:>8.1f} s{single[name]:>10.1f} s{single[name] / seconds:>8.1f}")


if __name__ == "__main__":
    main()
