"""Train the pretrained extractor on faces of all sizes: ``python -m stages.finetune METHOD``."""

import numpy as np

from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import training_run
from fsr_fer.settings import DownsampleSettings, FinetuneSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.finetune import finetune


def main(method: str) -> Stage:
    """Write ``models/<profile>/finetune/<method>.safetensors`` and curves beside the metrics."""
    stage = load_stage("finetune", method)
    manifest = read_manifest(stage.data / "dataset/manifest.csv", stage.class_names)
    images = np.load(stage.data / "dataset/images.npy", mmap_mode="r")
    with training_run(stage, f"finetune {method}") as run:
        network = finetune(
            load_network(stage.models / "pretrain.safetensors", CovPoolFER),
            LabelledFaces.of(images, manifest, "train"),
            LabelledFaces.of(images, manifest, "validation"),
            stage.settings(FinetuneSettings, f"finetune.{method}"),
            stage.settings(DownsampleSettings),
            stage.scales,
            run,
        )
        network.class_names = stage.class_names
        save_network(stage.models / f"finetune/{method}.safetensors", network)
    return stage


if __name__ == "__main__":
    run_stage(main)
