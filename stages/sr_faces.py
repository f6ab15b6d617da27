"""Train Meta-SR again, on the train faces: ``python -m stages.sr_faces``."""

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.models.weights import save_network
from fsr_fer.progress import bar
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import checkpoint_of, live_curves
from fsr_fer.settings import DownsampleSettings, SrSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.pretrain import LabelledFaces
from fsr_fer.training.sr import WholeFaces, network_to_retrain, train_sr

KEY = "meta_sr_retrained"


def main() -> Stage:
    """Write ``models/<profile>/sr_faces`` and the curves beside the metrics."""
    stage = load_stage("sr_faces")
    data, models = stage.data / "dataset", stage.models
    manifest = read_manifest(data / "manifest.csv", stage.class_names)
    images = np.load(data / "images.npy", mmap_mode="r")

    curves = stage.metrics / "sr_faces"
    with checkpoint_of(stage) as checkpoint, live_curves(curves) as record:
        network = train_sr(
            network_to_retrain(
                models / "sr/meta_sr.safetensors", stage.settings(SrSettings), stage.seed
            ),
            WholeFaces(
                LabelledFaces.of(images, manifest, "train"),
                LabelledFaces.of(images, manifest, "validation"),
                stage.scales,
                stage.settings(DownsampleSettings),
            ),
            stage.settings(SrSettings).meta_sr_retrained_training,
            seed=stage.seed,
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar,
            record=record,
            task=f"sr {KEY}",
        )
        save_network(models / f"sr_faces/{KEY}.safetensors", network)
    return stage


if __name__ == "__main__":
    run_stage(main)
