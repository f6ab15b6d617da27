"""Train CovPoolFER on full-size faces: ``python -m stages.pretrain``."""

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.distributed import join_ranks
from fsr_fer.models.weights import save_network
from fsr_fer.progress import bar, quiet
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import checkpoint_of, live_curves
from fsr_fer.settings import PretrainSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.pretrain import LabelledFaces, train_extractor


def main() -> Stage:
    """Write ``models/<profile>/pretrain.safetensors`` and the curves beside the metrics."""
    stage, ranks = load_stage("pretrain"), join_ranks()
    data = stage.data / "dataset"
    manifest = read_manifest(data / "manifest.csv", stage.class_names)
    images = np.load(data / "images.npy", mmap_mode="r")

    curves = stage.metrics / "pretrain"
    with checkpoint_of(stage, ranks) as checkpoint, live_curves(curves, ranks) as record:
        network = train_extractor(
            LabelledFaces.of(images, manifest, "train"),
            LabelledFaces.of(images, manifest, "validation"),
            stage.settings(PretrainSettings),
            num_classes=len(stage.class_names),
            seed=stage.seed,
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar if ranks.first else quiet,
            record=record,
            ranks=ranks,
        )
        ranks.leave()
        path = stage.models / "pretrain.safetensors"
        network.class_names = stage.class_names
        save_network(path, network)
    return stage


if __name__ == "__main__":
    run_stage(main)
