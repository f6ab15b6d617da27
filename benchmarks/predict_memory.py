"""The memory of `fsr-fer predict` does not grow with the number of pictures.

    python benchmarks/predict_memory.py 1000 10000 100000 1000000

Reads lists of so many lines, the same few crops again and again, on one core, and writes the peak
resident memory of each run to benchmarks/predict_memory.json. Of 100,000 lines and more nine in ten
are crops too small to be read, which the network is spared: a million would take it an hour.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe_machine, write_results
from PIL import Image

from fsr_fer.data.synthetic.dataset import synthetic_face

CROPS = 16
MANY = 100_000


def peak_bytes(folder: Path, pictures: int) -> int:
    """The peak resident memory of a run that reads a list of so many lines."""
    with open(folder / "list.txt", "w") as file:
        for number in range(pictures):
            spared = pictures >= MANY and number % 10
            file.write(f"{folder / ('small' if spared else str(number % CROPS))}.png\n")
    output = folder / f"{pictures}.csv"
    words = ["predict", "--list", str(folder / "list.txt"), "--output", str(output)]
    program = "from fsr_fer.cli import main; main()"
    running = subprocess.Popen([sys.executable, "-c", program, *words])
    _, status, usage = os.wait4(running.pid, 0)
    with open(output) as file:
        assert (status, sum(1 for _ in file)) == (0, pictures + 1), "a row is missing"
    output.unlink()
    return usage.ru_maxrss * 1024  # Linux counts kibibytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=int, nargs="+", help="Lines of each list, rising.")
    counts = parser.parse_args().pictures
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        for number in range(CROPS):
            face = Image.fromarray(synthetic_face("test", number, faces_per_subject=7, seed=1))
            side = 12 + 5 * number  # 12 to 87 pixels
            face.resize((side, side)).save(Path(name, f"{number}.png"))
        face.resize((7, 7)).save(Path(name, "small.png"))
        peaks = [peak_bytes(Path(name), count) for count in counts]
    results = {
        "machine": describe_machine("numpy", "onnxruntime", "pillow"),
        "runs": [
            {"pictures": count, "peak_mib": round(peak / 2**20, 1)}
            for count, peak in zip(counts, peaks, strict=True)
        ],
    }
    write_results(__file__, results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
