"""Write metrics, figures and the page: ``python -m stages.report BASELINE ROW ...``."""

import shlex

from fsr_fer.data.manifest import read_manifest
from fsr_fer.predictions import read_predictions
from fsr_fer.provenance.hashing import hashes_of
from fsr_fer.report import ReportInputs, write_report
from fsr_fer.report.gathering import (
    read_fidelity,
    read_json,
    restored_faces,
    training_runs,
)
from fsr_fer.report.origin import Origin
from fsr_fer.run_stage import run_stage
from fsr_fer.settings import DatasetSettings, DownsampleSettings, EvaluateSettings, ReportSettings
from fsr_fer.stage import Stage, load_stage


def data_hashes(stage: Stage) -> dict[str, str]:
    """MD5 of the inputs by path, our own code left out."""
    code = ("src/", "stages/")
    return {path: md5 for path, md5 in stage.input_hashes.items() if not path.startswith(code)}


def main(*rows: str) -> Stage:
    """Write ``metrics/<profile>/*`` and ``data/<profile>/report/``."""
    stage = load_stage("report")
    data, metrics = stage.data, stage.metrics
    predictions = {row: data / f"predictions/{row}.csv" for row in rows}
    restored = restored_faces(rows, stage.scales, data / "restored")
    inputs = ReportInputs(
        profile=stage.profile,
        source=stage.settings(DatasetSettings).source,
        class_names=stage.class_names,
        scales=stage.scales,
        rows={row: read_predictions(path, stage.class_names) for row, path in predictions.items()},
        manifest=read_manifest(data / "dataset/manifest.csv", stage.class_names),
        images_path=data / "dataset/images.npy",
        downsampled={f"x{scale}": data / f"downsample/x{scale}.npy" for scale in stage.scales},
        downsample=stage.settings(DownsampleSettings),
        curves=training_runs(rows, stage.scales, metrics),
        effective_params=dict(stage.values),
        confidence=stage.settings(EvaluateSettings).confidence,
        resamples=stage.settings(EvaluateSettings).resamples,
        calibration_bins=stage.settings(EvaluateSettings).calibration_bins,
        example_faces=stage.settings(ReportSettings).example_faces,
        seed=stage.seed,
        restored=restored,
        fidelity=read_fidelity(list(restored), metrics / "restoration"),
        cost=read_json(metrics / "cost.json"),
        origin=Origin(
            command=shlex.join(["python", "-m", "stages.report", *rows]),
            params=tuple(stage.values),
            hashes=data_hashes(stage) | hashes_of(predictions.values()),
        ),
    )
    write_report(inputs, data / "report", metrics)
    return stage


if __name__ == "__main__":
    run_stage(main)
