"""Meta-SR of one seed trained again, on the train faces: ``... seed_sr_faces.py SEED``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.models.super_resolution import save_super_resolution
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar
from fsr_fer.runs import checkpoint_of
from fsr_fer.training.pretrain import LabelledFaces
from fsr_fer.training.sr import WholeFaces, network_to_retrain, train_sr

KEY = "meta_sr_retrained"


def main() -> Stage:
    """Write ``models/<profile>/seeds/<seed>/sr_faces/meta_sr_retrained.safetensors``."""
    seed = sys.argv[1]
    stage = load_stage("seed_sr_faces", seed, Path("studies/dvc.yaml"))
    data, models = Path("data") / stage.profile / "dataset", Path("models") / stage.profile
    own = models / "seeds" / seed
    manifest = read_manifest(data / "manifest.csv", stage.class_names)
    images = np.load(data / "images.npy", mmap_mode="r")
    with checkpoint_of(stage) as checkpoint:
        network = train_sr(
            network_to_retrain(own / "sr/meta_sr.safetensors", stage.sr, int(seed)),
            WholeFaces(
                LabelledFaces.of(images, manifest, "train"),
                LabelledFaces.of(images, manifest, "validation"),
                stage.scales,
                stage.downsample,
            ),
            stage.sr.meta_sr_retrained_training,
            seed=int(seed),
            device=choose_device(),
            checkpoint=checkpoint,
            track=bar,
            task=f"sr {KEY}",
        )
        save_super_resolution(own / f"sr_faces/{KEY}.safetensors", network)
    return stage


if __name__ == "__main__":
    run_stage(main)
