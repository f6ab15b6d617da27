"""Predict the test faces with one method: ``python -m stages.evaluate METHOD``."""

from fsr_fer.common.device import choose_device
from fsr_fer.data.manifest import read_manifest
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.class_balance import EvaluateSettings
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.evaluation.methods import load_method
from fsr_fer.evaluation.predicting import open_test_faces, predict_test_faces
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``data/<profile>/predictions/METHOD.csv``."""
    name = stage.item
    settings = stage.settings(MethodSettings, f"methods.{name}")
    manifest = read_manifest(stage.paths.manifest, stage.class_names)
    faces = open_test_faces(
        stage.paths.images,
        stage.paths.data / settings.faces,
        stage.scales,
        manifest.rows("test"),
        stage.settings(DownsampleSettings),
    )
    method = load_method(settings, stage.paths.models)
    balance = stage.settings(EvaluateSettings)
    predictions = predict_test_faces(name, method, faces, manifest, balance, choose_device())
    predictions.write(stage.paths.predictions(name))


if __name__ == "__main__":
    run_stage(main)
