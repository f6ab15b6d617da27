"""Store second-order features: ``python stages/features.py hr`` or ``... SCALE``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.distributed import join_ranks, run_in_processes
from fsr_fer.features.extraction import Faces, publish, write_shards
from fsr_fer.features.tables import Layout
from fsr_fer.models.weights import load_extractor, sha256_of
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar, quiet
from fsr_fer.runs import shared_work


def main() -> Stage:
    """Write ``data/<profile>/features/{train,test}/<resolution>/``; train holds validation."""
    run_in_processes()
    scale = None if sys.argv[1] == "hr" else int(sys.argv[1])
    stage = load_stage("features_hr") if scale is None else load_stage("features", sys.argv[1])
    resolution = "hr" if scale is None else f"x{scale}"
    data = Path("data") / stage.profile
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    small = data / f"downsample/{resolution}.npy"
    images = np.load(data / "dataset/images.npy" if scale is None else small, mmap_mode="r")
    path = Path("models") / stage.profile / "pretrain.safetensors"
    network, _ = load_extractor(path)
    device, ranks = choose_device(), join_ranks()
    parts = {"train": manifest.rows("train", "validation"), "test": manifest.rows("test")}
    layouts = {
        part: Layout(
            faces=len(rows),
            dim=network.extractor.settings.bimap_dim,
            dtype=stage.features.dtype,
            extractor=sha256_of(path),
        )
        for part, rows in parts.items()
    }
    with shared_work(stage, ranks) as work:
        for part, rows in parts.items():
            write_shards(
                network.extractor.to(device),
                Faces(images, rows, None if scale is None else (scale, stage.downsample)),
                work / part,
                layouts[part],
                device=device,
                ranks=ranks,
                track=bar if ranks.first else quiet,
                task=f"features {resolution} {part}",
            )
        ranks.leave()
        for part, layout in layouts.items():
            publish(work / part, layout, data / "features" / part / resolution)
    return stage


if __name__ == "__main__":
    run_stage(main)
