"""Train CovPoolFER on full-size faces: ``python -m stages.pretrain``."""

import numpy as np

from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.distributed import barrier, is_first
from fsr_fer.models.weights import save_network
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import training_run
from fsr_fer.settings import PretrainSettings
from fsr_fer.stage import Stage, load_stage
from fsr_fer.training.pretrain import train_extractor


def main() -> Stage | None:
    """Write ``models/<profile>/pretrain.safetensors`` and the curves beside the metrics."""
    stage = load_stage("pretrain")
    manifest = read_manifest(stage.data / "dataset/manifest.csv", stage.class_names)
    images = np.load(stage.data / "dataset/images.npy", mmap_mode="r")
    with training_run(stage, "pretrain") as run:
        network = train_extractor(
            LabelledFaces.of(images, manifest, "train"),
            LabelledFaces.of(images, manifest, "validation"),
            stage.settings(PretrainSettings),
            len(stage.class_names),
            run,
        )
        barrier()
        if not is_first():
            return None
        network.class_names = stage.class_names
        save_network(stage.models / "pretrain.safetensors", network)
    return stage


if __name__ == "__main__":
    run_stage(main)
