"""Second-order features by the extractor of one seed: ``python studies/seed_features.py SEED``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import itertools
import sys
from pathlib import Path

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.distributed import ALONE
from fsr_fer.features.extraction import Faces, publish, write_shards
from fsr_fer.features.tables import Layout
from fsr_fer.models.weights import load_extractor, sha256_of
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar
from fsr_fer.runs import shared_work


def main() -> Stage:
    """Write ``data/<profile>/seeds/<seed>/features``, laid out as the pipeline's own features."""
    seed = sys.argv[1]
    stage = load_stage("seed_features", seed, Path("studies/dvc.yaml"))
    data = Path("data") / stage.profile
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    path = Path("models") / stage.profile / "seeds" / seed / "pretrain.safetensors"
    network, _ = load_extractor(path)
    device, extractor = choose_device(), sha256_of(path)
    parts = {"train": manifest.rows("train", "validation"), "test": manifest.rows("test")}
    images = {"hr": np.load(data / "dataset/images.npy", mmap_mode="r")}
    for scale in stage.scales:
        images[f"x{scale}"] = np.load(data / f"downsample/x{scale}.npy", mmap_mode="r")
    with shared_work(stage, ALONE) as work:
        for resolution, part in itertools.product(images, parts):
            rows = parts[part]
            small = None if resolution == "hr" else (int(resolution[1:]), stage.downsample)
            layout = Layout(
                faces=len(rows),
                dim=network.extractor.settings.bimap_dim,
                dtype=stage.features.dtype,
                extractor=extractor,
            )
            write_shards(
                network.extractor.to(device),
                Faces(images[resolution], rows, small),
                work / part / resolution,
                layout,
                device=device,
                track=bar,
                task=f"features {resolution} {part}, seed {seed}",
            )
            target = data / "seeds" / seed / "features" / part / resolution
            publish(work / part / resolution, layout, target)
    return stage


if __name__ == "__main__":
    run_stage(main)
