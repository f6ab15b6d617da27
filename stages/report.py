"""Write metrics, figures and the page: ``python -m stages.report BASELINE METHOD ...``."""

from fsr_fer.data.manifest import read_manifest
from fsr_fer.predictions import read_predictions
from fsr_fer.provenance.hashing import hashes_of
from fsr_fer.report import ReportInputs, write_report
from fsr_fer.report.inputs import read_fidelity, read_json, restored_faces
from fsr_fer.run_stage import run_stage
from fsr_fer.settings import DatasetSettings, DownsampleSettings, EvaluateSettings, ReportSettings
from fsr_fer.stage import Stage, load_stage


def main(*methods: str) -> Stage:
    """Write ``metrics/<profile>/*`` and ``data/<profile>/report/``."""
    stage = load_stage("report")
    evaluate, classes = stage.settings(EvaluateSettings), stage.class_names
    files = {name: stage.data / f"predictions/{name}.csv" for name in methods}
    restored = restored_faces(methods, stage.scales, stage.data / "restored")
    inputs = ReportInputs(
        profile=stage.profile,
        source=stage.settings(DatasetSettings).source,
        class_names=classes,
        scales=stage.scales,
        methods={name: read_predictions(path, classes) for name, path in files.items()},
        manifest=read_manifest(stage.data / "dataset/manifest.csv", classes),
        images_path=stage.data / "dataset/images.npy",
        downsampled={f"x{s}": stage.data / f"downsample/x{s}.npy" for s in stage.scales},
        downsample=stage.settings(DownsampleSettings),
        settings=stage.values,
        confidence=evaluate.confidence,
        resamples=evaluate.resamples,
        calibration_bins=evaluate.calibration_bins,
        example_faces=stage.settings(ReportSettings).example_faces,
        seed=stage.seed,
        restored=restored,
        fidelity=read_fidelity(list(restored), stage.metrics / "restoration"),
        cost=read_json(stage.metrics / "cost.json"),
        hashes=hashes_of(files.values()),
    )
    write_report(inputs, stage.data / "report", stage.metrics)
    return stage


if __name__ == "__main__":
    run_stage(main)
