"""Downsample every face: ``python -m stages.downsample SCALE``."""

from fsr_fer.common.arrays import open_faces
from fsr_fer.data.downsampling import write_downsampled
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage, load_stage


def main(scale: str) -> Stage:
    """Write ``data/<profile>/downsample/x<scale>.npy``."""
    stage = load_stage("downsample", scale)
    write_downsampled(
        open_faces(stage.paths.images),
        stage.paths.downsampled(scale),
        int(scale),
        stage.settings(DownsampleSettings),
    )
    return stage


if __name__ == "__main__":
    run_stage(main)
