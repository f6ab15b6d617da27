"""Downsample every face: ``python -m stages.downsample SCALE``."""

from fsr_fer.common.arrays import open_faces
from fsr_fer.data.downsampling import write_downsampled
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``data/<profile>/downsample/x<scale>.npy``."""
    write_downsampled(
        open_faces(stage.paths.images),
        stage.paths.downsampled(stage.item),
        int(stage.item),
        stage.settings(DownsampleSettings),
    )


if __name__ == "__main__":
    run_stage(main)
