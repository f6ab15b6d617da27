"""A generator with another seed: ``python studies/seed_fsr.py SEED-l2|plain|reweighted``.

On features of the extractor that was trained with that seed.
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

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
    """Write a generator below ``models/<profile>/seeds`` and what is read from its features."""
    seed, _, variant = sys.argv[1].partition("-")
    stage = load_stage("seed_fsr", sys.argv[1], Path("studies/dvc.yaml"))
    data = Path("data") / stage.profile
    models, own = Path("models") / stage.profile / "seeds" / seed, data / "seeds" / seed
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    network, _ = load_extractor(models / "pretrain.safetensors")
    extractor, device = sha256_of(models / "pretrain.safetensors"), choose_device()
    train, validation = open_pairs(own / "features/train", manifest, stage.scales, extractor)
    with checkpoint_of(stage) as checkpoint:
        generator = train_fsr(
            train,
            validation,
            network.classifier,
            stage.fsr,
            stage.losses_of(f"fsr_{variant}"),
            stage.reweight if variant == "reweighted" else None,
            seed=int(seed),
            device=device,
            checkpoint=checkpoint,
            track=bar,
            task=f"fsr {variant}, seed {seed}",
        )
        save_generator(models / f"fsr_{variant}.safetensors", generator, stage.fsr.generator)
    faces = len(manifest.rows("test"))
    hr, *lr = (
        open_table(own / "features/test" / name, faces, extractor)
        for name in ("hr", *(f"x{scale}" for scale in stage.scales))
    )
    answers = predict(
        hr,
        dict(zip(stage.scales, lr, strict=True)),
        network.classifier.to(device),
        generator.eval().to(device),
        device,
        track=bar,
    )
    predictions_of(manifest, answers).write(own / f"fsr_{variant}.csv")
    return stage


if __name__ == "__main__":
    run_stage(main)
