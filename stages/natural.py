"""Store the natural pictures for image super-resolution: ``python -m stages.natural``."""

from fsr_fer.data.natural_packing import pack_pictures
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``data/<profile>/natural``."""
    pack_pictures(stage.value("natural.pictures"), stage.paths.data / "natural")


if __name__ == "__main__":
    run_stage(main)
