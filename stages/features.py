"""Store second-order features: ``python stages/features.py hr`` or ``... SCALE``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.features import write_features
from fsr_fer.models.weights import load_extractor
from fsr_fer.params import load_stage
from fsr_fer.progress import bar


def main() -> None:
    """Write ``data/<profile>/features/{train,test}/<resolution>.npy``; train holds validation."""
    scale = None if sys.argv[1] == "hr" else int(sys.argv[1])
    stage = load_stage("features_hr") if scale is None else load_stage("features", sys.argv[1])
    resolution = "hr" if scale is None else f"x{scale}"
    data = Path("data") / stage.profile
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    small = data / f"downsample/{resolution}.npy"
    images = np.load(data / "dataset/images.npy" if scale is None else small, mmap_mode="r")
    network, _ = load_extractor(Path("models") / stage.profile / "pretrain.safetensors")
    device = choose_device()
    for part, splits in {"train": ("train", "validation"), "test": ("test",)}.items():
        write_features(
            network.extractor.to(device),
            images,
            manifest.rows(*splits),
            data / "features" / part / f"{resolution}.npy",
            restored=None if scale is None else (scale, stage.downsample),
            dtype=stage.features.dtype,
            device=device,
            track=bar,
            task=f"features {resolution} {part}",
        )


if __name__ == "__main__":
    run_stage(main)
