"""Predict the test faces with a row that reads pictures: ``python -m stages.evaluate_faces ROW MODEL FACES``.

MODEL is a CovPoolFER file, FACES a folder of ``x<scale>.npy``: see ``open_test_faces``.
"""

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.errors import UserError
from fsr_fer.face_evaluation import open_test_faces, plain_reader, predict_faces
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network
from fsr_fer.predictions import predictions_of
from fsr_fer.progress import bar
from fsr_fer.run_stage import run_stage
from fsr_fer.settings import DownsampleSettings
from fsr_fer.stage import Stage, load_stage


def main(row: str, model_name: str, faces_name: str) -> Stage:
    """Write ``data/<profile>/predictions/ROW.csv``."""
    stage = load_stage("evaluate_faces", row)
    data = stage.data
    model, folder = stage.models / f"{model_name}.safetensors", data / faces_name
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    network = load_network(model, CovPoolFER)
    if network.class_names != stage.class_names:
        raise UserError(f"{model} knows the classes {network.class_names}, not {stage.class_names}")
    faces = open_test_faces(
        data / "dataset/images.npy",
        folder,
        stage.scales,
        manifest,
        stage.settings(DownsampleSettings),
    )
    device = choose_device()
    read = plain_reader(network.to(device))
    answers = predict_faces(faces, read, device, track=bar, task=f"evaluate {row}")
    predictions_of(manifest, answers).write(data / f"predictions/{row}.csv")
    return stage


if __name__ == "__main__":
    run_stage(main)
