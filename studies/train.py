"""One training of the study of seeds: ``python studies/train.py seed_pretrain SEED``,
``python studies/train.py seed_rows SEED-ROW``, or an ablation of ``best``:
``python studies/train.py seed_best_ablations SEED-NAME``.

The pipeline's own trainings with another seed, on the pipeline's own faces: what a row's numbers
owe to the luck of one seed. Every seed has an extractor of its own, which all its rows start from.
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from fsr_fer.ablations import overridden, row_of
from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.face_evaluation import open_test_faces, plain_reader, predict_faces
from fsr_fer.models.weights import load_extractor, save_extractor
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import predictions_of
from fsr_fer.progress import bar
from fsr_fer.runs import checkpoint_of
from fsr_fer.training.finetune import finetune
from fsr_fer.training.pretrain import LabelledFaces, train_extractor

PIPELINE = Path("studies/dvc.yaml")


def main() -> Stage:
    """Write a network below ``models/<profile>`` and what it reads on the test faces."""
    name, item = sys.argv[1:]
    stage = load_stage(name, item, PIPELINE)
    seed, _, row = item.partition("-")
    models, data = Path("models") / stage.profile, Path("data") / stage.profile
    weights = models / f"seeds/{seed}/{row or 'pretrain'}"
    answered = data / f"seeds/{seed}/{row or 'bicubic'}"
    if name == "seed_best_ablations":
        stage = replace(stage, params=overridden(stage.params, row, stage.profile))
        weights, answered = (folder / f"ablations/{seed}/{row}" for folder in (models, data))
        row = row_of(row)
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    images = np.load(data / "dataset/images.npy", mmap_mode="r")

    device = choose_device()
    with checkpoint_of(stage) as checkpoint:
        if row:
            pretrained, _ = load_extractor(models / f"seeds/{seed}/pretrain.safetensors")
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
        save_extractor(weights.with_suffix(".safetensors"), network, stage.class_names)
    faces = open_test_faces(
        data / "dataset/images.npy",
        data / "downsample",
        stage.scales,
        manifest,
        stage.downsample,
    )
    answers = predict_faces(faces, plain_reader(network.eval()), device, track=bar)
    predictions_of(manifest, answers).write(answered.with_suffix(".csv"))
    return stage


if __name__ == "__main__":
    run_stage(main)
