"""Make every face small: ``python stages/downsample.py SCALE``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

import numpy as np

from fsr_fer.downsampling import write_downsampled
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar


def main() -> Stage:
    """Write ``data/<profile>/downsample/x<scale>.npy``."""
    stage = load_stage("downsample", sys.argv[1])
    scale = int(sys.argv[1])
    data = Path("data") / stage.profile
    images = np.load(data / "dataset/images.npy", mmap_mode="r")
    write_downsampled(images, data / f"downsample/x{scale}.npy", scale, stage.downsample, bar)
    return stage


if __name__ == "__main__":
    run_stage(main)
