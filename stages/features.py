"""Store second-order features: ``python -m stages.features hr`` or ``SCALE``."""

import numpy as np

from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.distributed import barrier, is_first
from fsr_fer.features.extraction import Faces, publish, write_shards
from fsr_fer.features.tables import Layout
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network, sha256_of
from fsr_fer.progress import bar, quiet
from fsr_fer.run_stage import run_stage
from fsr_fer.runs import shared_work
from fsr_fer.settings import DownsampleSettings, FeaturesSettings
from fsr_fer.stage import Stage, load_stage


def main(resolution_text: str) -> Stage | None:
    """Write ``data/<profile>/features/{train,test}/<resolution>/``; train holds validation."""
    scale = None if resolution_text == "hr" else int(resolution_text)
    stage = load_stage("features_hr") if scale is None else load_stage("features", resolution_text)
    resolution = "hr" if scale is None else f"x{scale}"
    data = stage.data
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    small = data / f"downsample/{resolution}.npy"
    images = np.load(data / "dataset/images.npy" if scale is None else small, mmap_mode="r")
    path = stage.models / "pretrain.safetensors"
    network = load_network(path, CovPoolFER)
    device = choose_device()
    parts = {"train": manifest.rows("train", "validation"), "test": manifest.rows("test")}
    layouts = {
        part: Layout(
            faces=len(rows),
            dim=network.extractor.settings.bimap_dim,
            dtype=stage.settings(FeaturesSettings).dtype,
            extractor=sha256_of(path),
        )
        for part, rows in parts.items()
    }
    with shared_work(stage) as work:
        for part, rows in parts.items():
            write_shards(
                network.extractor.to(device),
                Faces(
                    images,
                    rows,
                    None if scale is None else (scale, stage.settings(DownsampleSettings)),
                ),
                work / part,
                layouts[part],
                device=device,
                track=bar if is_first() else quiet,
                task=f"features {resolution} {part}",
            )
        barrier()
        if not is_first():
            return None
        for part, layout in layouts.items():
            publish(work / part, layout, data / "features" / part / resolution)
    return stage


if __name__ == "__main__":
    run_stage(main)
