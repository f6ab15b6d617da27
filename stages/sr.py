"""Train image super-resolution on natural pictures: ``python -m stages.sr NETWORK``."""

from pathlib import Path

from fsr_fer.data.natural import open_pictures
from fsr_fer.data.super_resolution_pairs import Patches
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage
from fsr_fer.training.settings.sr import SuperResolutionSettings
from fsr_fer.training.sr import META_SR_FACTORS, new_network, record_psnr, train_sr

IMPORTED = Path("data/raw/weights")
"""Where `fsr-fer weights import` puts official weights."""


def main(stage: Stage) -> None:
    """Write ``models/<profile>/sr/<key>.safetensors`` and the curves beside the metrics.

    ``key`` is meta_sr, or rcan_x2 for the RCAN that enlarges by 2.
    """
    key = stage.item
    kind, _, scale = key.partition("_x")
    training = stage.settings(SuperResolutionSettings, f"sr.{kind}_training")
    pixels = stage.value(f"natural.{kind}_patch_pixels")
    pictures = open_pictures(stage.paths.data / "natural")
    settings: RcanSettings | MetaSrSettings
    if scale:
        settings = stage.settings(RcanSettings, "sr.rcan")
        patches = Patches(pictures, (int(scale),), pixels, stage.seed)
    else:
        settings = stage.settings(MetaSrSettings, "sr.meta_sr")
        patches = Patches(pictures, META_SR_FACTORS, pixels, stage.seed)
    with training_run(stage, f"sr {key}") as run:
        if stage.value("sr.weights") == "imported":
            network = load_network(IMPORTED / f"{key}.safetensors", Rcan, MetaSr)
            record_psnr(network, patches, training, run)  # dvc.yaml declares curves
        else:
            network = new_network(key, settings, stage.seed)
            train_sr(network, patches, training, run)
        save_network(stage.paths.network(f"sr/{key}"), network)


if __name__ == "__main__":
    run_stage(main)
