"""Make every face small: ``python -m stages.downsample SCALE``."""

import numpy as np

from fsr_fer.downsampling import write_downsampled
from fsr_fer.progress import bar
from fsr_fer.run_stage import run_stage
from fsr_fer.settings import DownsampleSettings
from fsr_fer.stage import Stage, load_stage


def main(scale_text: str) -> Stage:
    """Write ``data/<profile>/downsample/x<scale>.npy``."""
    stage = load_stage("downsample", scale_text)
    scale = int(scale_text)
    data = stage.data
    images = np.load(data / "dataset/images.npy", mmap_mode="r")
    write_downsampled(
        images, data / f"downsample/x{scale}.npy", scale, stage.settings(DownsampleSettings), bar
    )
    return stage


if __name__ == "__main__":
    run_stage(main)
