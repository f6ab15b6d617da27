"""Restore the small test faces: ``python -m stages.restore METHOD``."""

import numpy as np

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.device import choose_device
from fsr_fer.common.files import write_json
from fsr_fer.data.face_stream import Faces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.methods import load_restorers
from fsr_fer.evaluation.restoration import fidelity, write_restored
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``data/<profile>/restored/<name>``, and PSNR and SSIM to the metrics."""
    name = stage.item
    manifest = read_manifest(stage.paths.manifest, stage.class_names)
    test, device = manifest.rows("test"), choose_device()
    downsample = stage.settings(DownsampleSettings)
    full = Faces(open_faces(stage.paths.images), test)
    values: dict[str, dict[str, dict[str, float]]] = {name: {}, "bicubic": {}}
    restorers = load_restorers(name, stage.paths.models, stage.scales)
    for scale, restorer in restorers.items():
        small = open_faces(stage.paths.downsampled(scale))
        path = stage.paths.restored(name, scale)
        write_restored(restorer, Faces(small, test), path, device, f"restore {name} x{scale}")
        restored = Faces(open_faces(path), np.arange(len(test)))
        bicubic = Faces(small, test, (scale, downsample))
        values[name][f"x{scale}"] = fidelity(full, restored)
        values["bicubic"][f"x{scale}"] = fidelity(full, bicubic)
    write_json(stage.paths.metrics / f"restoration/{name}.json", values)


if __name__ == "__main__":
    run_stage(main)
