"""Train image super-resolution on natural pictures: ``python -m stages.sr NETWORK``."""

from pathlib import Path

from fsr_fer.common.random_streams import stream
from fsr_fer.data.natural import open_pictures
from fsr_fer.data.settings import NaturalSettings
from fsr_fer.data.super_resolution_pairs import Patches
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.runs import training_run
from fsr_fer.pipeline.stage import Stage, load_stage
from fsr_fer.training.settings import SrSettings
from fsr_fer.training.sr import META_SR_FACTORS, mean_psnr, new_network, scale_of, train_sr

IMPORTED = Path("data/raw/weights")
"""Where `fsr-fer weights import` puts official weights."""


def main(key: str) -> Stage:
    """Write ``models/<profile>/sr/<key>.safetensors`` and the curves beside the metrics."""
    stage = load_stage("sr", key)
    settings = stage.settings(SrSettings)
    target = stage.paths.network(f"sr/{key}")
    imported = settings.weights == "imported"
    natural = stage.settings(NaturalSettings)
    pictures = open_pictures(stage.paths.data / "natural")
    if scale := scale_of(key):
        patches = Patches(pictures, (scale,), natural.rcan_patch_pixels, stage.seed)
        training = settings.rcan_training
    else:
        patches = Patches(pictures, META_SR_FACTORS, natural.meta_sr_patch_pixels, stage.seed)
        training = settings.meta_sr_training
    file = IMPORTED / f"{key}.safetensors"
    network = (
        load_network(file, Rcan, MetaSr) if imported else new_network(key, settings, stage.seed)
    )
    with training_run(stage, f"sr {key}") as run:
        if imported:  # one value in place of curves, which dvc.yaml declares
            held_out = patches.held_out(stream(stage.seed, run.name), training.validation_pictures)
            run.record(
                0, {"validation/psnr": mean_psnr(network.to(run.device), held_out, run.device)}
            )
        else:
            train_sr(network, patches, training, run)
        save_network(target, network)
    return stage


if __name__ == "__main__":
    run_stage(main)
