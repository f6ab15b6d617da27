"""Train Meta-SR again, on the train faces: ``python -m stages.sr_faces``."""

import numpy as np

from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.data.super_resolution_pairs import WholeFaces
from fsr_fer.models.weights import save_network
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import training_run
from fsr_fer.settings import DownsampleSettings, SrSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.sr import network_to_retrain, train_sr

KEY = "meta_sr_retrained"


def main() -> Stage:
    """Write ``models/<profile>/sr_faces`` and the curves beside the metrics."""
    stage = load_stage("sr_faces")
    settings, models = stage.settings(SrSettings), stage.models
    manifest = read_manifest(stage.data / "dataset/manifest.csv", stage.class_names)
    images = np.load(stage.data / "dataset/images.npy", mmap_mode="r")
    faces = WholeFaces(
        LabelledFaces.of(images, manifest, "train"),
        LabelledFaces.of(images, manifest, "validation"),
        stage.scales,
        stage.settings(DownsampleSettings),
    )
    network = network_to_retrain(models / "sr/meta_sr.safetensors", settings, stage.seed)
    with training_run(stage, f"sr {KEY}") as run:
        train_sr(network, faces, settings.meta_sr_retrained_training, run)
        save_network(models / f"sr_faces/{KEY}.safetensors", network)
    return stage


if __name__ == "__main__":
    run_stage(main)
