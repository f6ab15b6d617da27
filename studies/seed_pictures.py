"""Faces restored by the networks of one seed and read by its extractor.

``python studies/seed_pictures.py SEED-rcan|meta_sr|meta_sr_retrained``
"""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
import tempfile
from pathlib import Path

from fsr_fer.arrays import open_faces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.face_evaluation import open_test_faces, plain_reader, predict_faces
from fsr_fer.features.extraction import Faces
from fsr_fer.models.super_resolution import Restorer, load_super_resolution, network_files
from fsr_fer.models.weights import load_extractor
from fsr_fer.params import Stage, load_stage
from fsr_fer.predictions import predictions_of
from fsr_fer.progress import bar
from fsr_fer.restoration import write_restored


def main() -> Stage:
    """Write ``data/<profile>/seeds/<seed>/<row>.csv``; the restored faces are not kept."""
    seed, _, row = sys.argv[1].partition("-")
    stage = load_stage("seed_pictures", sys.argv[1], Path("studies/dvc.yaml"))
    data, models = Path("data") / stage.profile, Path("models") / stage.profile / "seeds" / seed
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    device, test = choose_device(), manifest.rows("test")
    files = network_files(row, models)
    with tempfile.TemporaryDirectory(dir=data) as folder:
        for scale in stage.scales:
            if scale in files:
                write_restored(
                    Restorer(load_super_resolution(files[scale])),
                    Faces(open_faces(data / f"downsample/x{scale}.npy"), test),
                    Path(folder) / f"x{scale}.npy",
                    device,
                    track=bar,
                    task=f"restore {row} x{scale}, seed {seed}",
                )
        faces = open_test_faces(
            data / "dataset/images.npy", Path(folder), stage.scales, manifest, stage.downsample
        )
        network, _ = load_extractor(models / "pretrain.safetensors")
        answers = predict_faces(faces, plain_reader(network.eval().to(device)), device, track=bar)
    predictions_of(manifest, answers).write(data / f"seeds/{seed}/{row}.csv")
    return stage


if __name__ == "__main__":
    run_stage(main)
