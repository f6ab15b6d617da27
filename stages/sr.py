"""Train image super-resolution on natural pictures: ``python -m stages.sr rcan_x2|...|meta_sr``."""

from pathlib import Path

from fsr_fer.data.natural import open_pictures
from fsr_fer.device import choose_device
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.progress import bar
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import checkpoint_of, live_curves
from fsr_fer.settings import NaturalSettings, SrSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.sr import natural_lesson, new_network, train_sr

IMPORTED = Path("data/raw/weights")
"""Where `fsr-fer weights import` puts official weights."""


def main(key: str) -> Stage:
    """Write ``models/<profile>/sr/<key>.safetensors`` and the curves beside the metrics."""
    stage = load_stage("sr", key)
    target = stage.models / f"sr/{key}.safetensors"
    if stage.settings(SrSettings).weights == "imported":
        save_network(target, load_network(IMPORTED / f"{key}.safetensors", Rcan, MetaSr))
        return stage
    pictures = open_pictures(stage.data / "natural")
    patches, training = natural_lesson(
        key, pictures, stage.settings(NaturalSettings), stage.settings(SrSettings), stage.seed
    )
    curves = stage.metrics / "sr" / key
    with checkpoint_of(stage) as checkpoint, live_curves(curves) as record:
        network = train_sr(
            new_network(key, stage.settings(SrSettings), stage.seed),
            patches,
            training,
            seed=stage.seed,
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar,
            record=record,
            task=f"sr {key}",
        )
        save_network(target, network)
    return stage


if __name__ == "__main__":
    run_stage(main)
