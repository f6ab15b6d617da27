"""Predict the test faces with one row of the table: ``python -m stages.evaluate ROW``."""

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.evaluation import predict
from fsr_fer.features.tables import open_table
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.weights import load_network, sha256_of
from fsr_fer.predictions import predictions_of
from fsr_fer.progress import bar
from fsr_fer.run_stage import run_stage
from fsr_fer.stage import Stage, load_stage


def main(row: str) -> Stage:
    """Write ``data/<profile>/predictions/ROW.csv``."""
    stage = load_stage("evaluate", row)
    data, models = stage.data, stage.models
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    rows = manifest.rows("test")
    device = choose_device()
    network = load_network(models / "pretrain.safetensors", CovPoolFER)
    extractor = sha256_of(models / "pretrain.safetensors")
    generator = None
    if row.startswith("fsr_"):
        variant = row.removeprefix("fsr_")
        generator = load_network(models / f"fsr/{variant}.safetensors", Generator).to(device)
    answers = predict(
        open_table(data / "features/test/hr", len(rows), extractor),
        {
            scale: open_table(data / f"features/test/x{scale}", len(rows), extractor)
            for scale in stage.scales
        },
        network.classifier.to(device),
        generator,
        device,
        track=bar,
        task=f"evaluate {row}",
    )
    predictions_of(manifest, answers).write(data / f"predictions/{row}.csv")
    return stage


if __name__ == "__main__":
    run_stage(main)
