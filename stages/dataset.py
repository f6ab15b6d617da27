"""Stage ``dataset``: raw faces of any source to images.npy and manifest.csv."""

from __future__ import annotations

from fsr_fer.stage import run_stage  # first: see there

# isort: split
from pathlib import Path

from fsr_fer.data.dataset import build_dataset
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar


def main() -> Stage:
    """Build the dataset of the selected profile."""
    stage = load_stage("dataset")
    build_dataset(
        stage.dataset.source,
        Path("data/raw") / stage.profile,
        Path("data") / stage.profile / "dataset",
        class_names=stage.dataset.class_names,
        validation_fraction=stage.dataset.validation_fraction,
        seed=stage.seed,
        track=bar,
    )
    return stage


if __name__ == "__main__":
    run_stage(main)
