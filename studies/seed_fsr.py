"""A generator with another seed, on features of the extractor that was trained with that seed:
``python studies/seed_fsr.py seed_fsr SEED-l2|plain|reweighted``, or an ablation of the plain or the
re-weighted one: ``python studies/seed_fsr.py seed_ablations SEED-NAME``.
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from dataclasses import replace
from pathlib import Path

from fsr_fer.ablations import overridden, row_of
from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.evaluation import predict
from fsr_fer.features.pairs import open_pairs
from fsr_fer.features.tables import open_table
from fsr_fer.models.weights import load_extractor, save_generator, sha256_of
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import predictions_of
from fsr_fer.progress import bar
from fsr_fer.runs import checkpoint_of
from fsr_fer.training.fsr import train_fsr


def main() -> Stage:
    """Write a generator and what is read from its features on the test faces."""
    name, item = sys.argv[1:]
    stage = load_stage(name, item, Path("studies/dvc.yaml"))
    seed, _, variant = item.partition("-")
    models, data = Path("models") / stage.profile, Path("data") / stage.profile
    extracted, own = models / f"seeds/{seed}/pretrain.safetensors", data / f"seeds/{seed}/features"
    weights, answered = (folder / f"seeds/{seed}/fsr_{variant}" for folder in (models, data))
    row = f"fsr_{variant}"
    if name == "seed_ablations":
        row = row_of(variant)
        stage = replace(stage, params=overridden(stage.params, variant, stage.profile))
        weights, answered = (f / f"ablations/{seed}/{variant}" for f in (models, data))
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    network, _ = load_extractor(extracted)
    extractor, device = sha256_of(extracted), choose_device()
    train, validation = open_pairs(own / "train", manifest, stage.scales, extractor)
    with checkpoint_of(stage) as checkpoint:
        generator = train_fsr(
            train,
            validation,
            network.classifier,
            stage.fsr,
            stage.losses_of(row),
            stage.reweight if row == "fsr_reweighted" else None,
            seed=int(seed),
            device=device,
            checkpoint=checkpoint,
            track=bar,
            task=f"{variant}, seed {seed}",
        )
        save_generator(weights.with_suffix(".safetensors"), generator, stage.fsr.generator)
    faces = len(manifest.rows("test"))
    hr, *lr = (
        open_table(own / "test" / size, faces, extractor)
        for size in ("hr", *(f"x{scale}" for scale in stage.scales))
    )
    answers = predict(
        hr,
        dict(zip(stage.scales, lr, strict=True)),
        network.classifier.to(device),
        generator.eval().to(device),
        device,
        track=bar,
    )
    predictions_of(manifest, answers).write(answered.with_suffix(".csv"))
    return stage


if __name__ == "__main__":
    run_stage(main)
