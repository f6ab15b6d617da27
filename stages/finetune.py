"""Teach the pretrained extractor faces of all sizes: ``python -m stages.finetune ROW``."""

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.progress import bar
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import checkpoint_of, live_curves
from fsr_fer.settings import DownsampleSettings, FinetuneSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.finetune import finetune
from fsr_fer.training.pretrain import LabelledFaces


def main(row: str) -> Stage:
    """Write ``models/<profile>/finetune/<row>.safetensors`` and the curves beside the metrics."""
    stage = load_stage("finetune", row)
    data, models = stage.data / "dataset", stage.models
    manifest = read_manifest(data / "manifest.csv", stage.class_names)
    images = np.load(data / "images.npy", mmap_mode="r")
    pretrained = load_network(models / "pretrain.safetensors", CovPoolFER)

    curves = stage.metrics / "finetune" / row
    with checkpoint_of(stage) as checkpoint, live_curves(curves) as record:
        network = finetune(
            pretrained,
            LabelledFaces.of(images, manifest, "train"),
            LabelledFaces.of(images, manifest, "validation"),
            stage.settings(FinetuneSettings, f"finetune.{row}"),
            stage.settings(DownsampleSettings),
            scales=stage.scales,
            seed=stage.seed,
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar,
            record=record,
            task=f"finetune {row}",
        )
        network.class_names = stage.class_names
        save_network(models / f"finetune/{row}.safetensors", network)
    return stage


if __name__ == "__main__":
    run_stage(main)
