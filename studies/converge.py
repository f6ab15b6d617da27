"""One training of the study of convergence: ``python studies/converge.py VARIANT-SEED``.

Like stages/fsr.py, on the pipeline's own features and extractor, but with another seed for the
weights and the order of faces, and validated more often. Plain and re-weighted runs of one seed
start from the same weights and see the same faces in the same order: they are a pair.
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import dataclasses
import sys
from pathlib import Path

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.features.pairs import open_pairs
from fsr_fer.files import write_json
from fsr_fer.models.weights import load_extractor, save_generator, sha256_of
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar
from fsr_fer.runs import checkpoint_of
from fsr_fer.training.fsr import train_fsr


def main() -> Stage:
    """Write a generator and its curves below ``models`` and ``data/<profile>/convergence``."""
    item = sys.argv[1]
    variant, _, seed = item.partition("-")
    stage = load_stage("converge", item, Path("studies/dvc.yaml"))
    data, models = Path("data") / stage.profile, Path("models") / stage.profile
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    network, _ = load_extractor(models / "pretrain.safetensors")
    extractor = sha256_of(models / "pretrain.safetensors")
    train, validation = open_pairs(data / "features/train", manifest, stage.scales, extractor)
    curves: list[dict[str, float]] = []
    with checkpoint_of(stage) as checkpoint:
        generator = train_fsr(
            train,
            validation,
            network.classifier,
            dataclasses.replace(stage.fsr, validation_every=stage.validation_every),
            stage.losses,
            stage.reweight if variant == "reweighted" else None,
            seed=int(seed),
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar,
            record=lambda step, values: curves.append({"step": step, **values}),
            task=f"converge {item}",
        )
        path = models / f"convergence/{item}.safetensors"
        save_generator(path, generator, stage.fsr.generator)
        write_json(data / f"convergence/{item}.json", curves)
    return stage


if __name__ == "__main__":
    run_stage(main)
