"""One training of the study of seeds: ``python studies/train.py seed_pretrain SEED`` or
``python studies/train.py seed_rows SEED-ROW``.

The pipeline's own trainings with another seed, on the pipeline's own faces: what a row's numbers
owe to the luck of one seed. Every seed has an extractor of its own, which all its rows start from.
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

import numpy as np

from fsr_fer.data.manifest import Manifest, read_manifest
from fsr_fer.device import choose_device
from fsr_fer.face_evaluation import open_test_faces, plain_reader, predict_faces
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_extractor, save_extractor
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import predictions_of
from fsr_fer.progress import bar
from fsr_fer.runs import checkpoint_of
from fsr_fer.training.finetune import finetune
from fsr_fer.training.pretrain import LabelledFaces, train_extractor

PIPELINE = Path("studies/dvc.yaml")


def main() -> Stage:
    """Write a network below ``models/<profile>/seeds`` and what it reads on the test faces."""
    name, item = sys.argv[1:]
    stage = load_stage(name, item, PIPELINE)
    seed, _, row = item.partition("-")
    manifest = read_manifest(
        Path("data") / stage.profile / "dataset/manifest.csv", stage.class_names
    )
    images = np.load(Path("data") / stage.profile / "dataset/images.npy", mmap_mode="r")

    models = Path("models") / stage.profile / "seeds" / seed
    device = choose_device()
    with checkpoint_of(stage) as checkpoint:
        if row:
            pretrained, _ = load_extractor(models / "pretrain.safetensors")
            network = finetune(
                pretrained,
                LabelledFaces.of(images, manifest, "train"),
                LabelledFaces.of(images, manifest, "validation"),
                stage.finetune_of(row),
                stage.downsample,
                scales=stage.scales,
                seed=int(seed),
                device=device,
                checkpoint=checkpoint,
                track=bar,
                task=f"{row}, seed {seed}",
            )
        else:
            network = train_extractor(
                LabelledFaces.of(images, manifest, "train"),
                LabelledFaces.of(images, manifest, "validation"),
                stage.pretrain,
                num_classes=len(stage.class_names),
                seed=int(seed),
                device=device,
                checkpoint=checkpoint,
                track=bar,
            )
        save_extractor(models / f"{row or 'pretrain'}.safetensors", network, stage.class_names)
        _predict(stage, network.eval(), manifest, seed, row or "bicubic")
    return stage


def _predict(stage: Stage, network: CovPoolFER, manifest: Manifest, seed: str, row: str) -> None:
    data = Path("data") / stage.profile
    faces = open_test_faces(
        data / "dataset/images.npy",
        data / "downsample",
        stage.scales,
        manifest,
        stage.downsample,
    )
    answers = predict_faces(faces, plain_reader(network), choose_device(), track=bar)
    predictions_of(manifest, answers).write(data / f"seeds/{seed}/{row}.csv")


if __name__ == "__main__":
    run_stage(main)
