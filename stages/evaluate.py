"""Predict the test faces with one method: ``python -m stages.evaluate METHOD FACES``.

FACES is a folder of ``x<scale>.npy`` below ``data/<profile>``: see ``open_test_faces``.
"""

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.evaluation import open_test_faces, predict_test_faces
from fsr_fer.methods import load_method
from fsr_fer.run_stage import run_stage
from fsr_fer.settings import DownsampleSettings
from fsr_fer.stage import Stage, load_stage


def main(name: str, folder: str) -> Stage:
    """Write ``data/<profile>/predictions/METHOD.csv``."""
    stage = load_stage("evaluate", name)
    manifest = read_manifest(stage.data / "dataset/manifest.csv", stage.class_names)
    faces = open_test_faces(
        stage.data / "dataset/images.npy",
        stage.data / folder,
        stage.scales,
        manifest,
        stage.settings(DownsampleSettings),
    )
    method = load_method(name, stage.models)
    predictions = predict_test_faces(name, method, faces, manifest, choose_device())
    predictions.write(stage.data / f"predictions/{name}.csv")
    return stage


if __name__ == "__main__":
    run_stage(main)
