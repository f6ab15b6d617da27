"""Store second-order features: ``python -m stages.features hr`` or ``SCALE``."""

import numpy as np

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.device import choose_device
from fsr_fer.data.face_stream import Faces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.data.settings import DownsampleSettings, FeaturesSettings
from fsr_fer.features.extraction import write_features
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``data/<profile>/features/train/{hr,x2,...}.npy``: train and validation faces."""
    column, images, restored = "hr", stage.paths.images, None
    if scale := stage.item:  # of features_hr there is none
        column, images = f"x{scale}", stage.paths.downsampled(scale)
        restored = int(scale), stage.settings(DownsampleSettings)
    manifest = read_manifest(stage.paths.manifest, stage.class_names)
    write_features(
        load_network(stage.paths.network(), CovPoolFER).extractor,
        Faces(open_faces(images), manifest.rows("train", "validation"), restored),
        stage.paths.features(column),
        np.dtype(stage.settings(FeaturesSettings).dtype),
        choose_device(),
        desc=f"features {column}",
    )


if __name__ == "__main__":
    run_stage(main)
