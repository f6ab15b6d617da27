"""What the trainings of the study of convergence come to: ``python studies/convergence.py``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import json
from pathlib import Path

import numpy as np

from fsr_fer.convergence import SCORE, VARIANTS, Curve, summarise
from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.evaluation import classify_features
from fsr_fer.features.tables import open_table
from fsr_fer.files import replacing, write_json
from fsr_fer.models.weights import load_extractor, load_generator, sha256_of
from fsr_fer.params import Stage, load_stage
from fsr_fer.report.figures import band_figure
from fsr_fer.statistics import total_accuracy


def main() -> Stage:
    """Write ``metrics/<profile>/convergence.json`` and the figure beside it."""
    stage = load_stage("convergence", pipeline=Path("studies/dvc.yaml"))
    data, metrics = Path("data") / stage.profile, Path("metrics") / stage.profile
    curves: dict[str, dict[int, Curve]] = {
        variant: {
            seed: json.loads((data / f"convergence/{variant}-{seed}.json").read_text())
            for seed in stage.studies.seeds
        }
        for variant in VARIANTS
    }
    test = {
        variant: {seed: _on_test(stage, f"{variant}-{seed}") for seed in stage.studies.seeds}
        for variant in VARIANTS
    }
    summary = summarise(curves, test, stage.evaluate.confidence)
    write_json(metrics / "convergence.json", summary)
    figure = band_figure(
        {
            variant: [([p["step"] for p in c], [p[SCORE] for p in c]) for c in by_seed.values()]
            for variant, by_seed in curves.items()
        },
        x="iteration",
        y="validation accuracy, mean of all scales, %",
    )
    with replacing(metrics / "convergence.svg") as part:
        part.write_bytes(figure)
    print(json.dumps({name: summary[name] for name in ("ratio_of_steps", "accuracy")}, indent=2))
    return stage


def _on_test(stage: Stage, run: str) -> float:
    """Total accuracy of one generator over the test faces at all scales, percent."""
    data, models = Path("data") / stage.profile, Path("models") / stage.profile
    device = choose_device()
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    rows = manifest.rows("test")
    network, _ = load_extractor(models / "pretrain.safetensors")
    extractor = sha256_of(models / "pretrain.safetensors")
    classifier = network.classifier.to(device)
    generator = load_generator(models / f"convergence/{run}.safetensors").to(device)
    predicted = [
        classify_features(
            open_table(data / f"features/test/x{scale}", len(rows), extractor),
            classifier,
            generator,
            device,
        )
        for scale in stage.scales
    ]
    return total_accuracy(manifest.labels[rows], np.stack(predicted))


if __name__ == "__main__":
    run_stage(main)
