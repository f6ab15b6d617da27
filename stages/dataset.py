"""Write raw faces of any source to images.npy and manifest.csv: ``python -m stages.dataset``."""

from pathlib import Path

from fsr_fer.data.dataset import build_dataset
from fsr_fer.data.settings import DatasetSettings
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Build the dataset of the selected profile."""
    raw, settings = Path("data/raw") / stage.profile, stage.settings(DatasetSettings)
    build_dataset(raw, stage.paths.dataset, settings, stage.data_seed)


if __name__ == "__main__":
    run_stage(main)
