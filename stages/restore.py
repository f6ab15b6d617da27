"""Restore the small test faces: ``python -m stages.restore rcan|meta_sr|meta_sr_retrained``."""

import numpy as np
import torch

from fsr_fer.arrays import open_faces
from fsr_fer.data.manifest import read_manifest
from fsr_fer.device import choose_device
from fsr_fer.features.extraction import Faces
from fsr_fer.files import write_json
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.super_resolution import Restorer, network_files
from fsr_fer.models.weights import load_network
from fsr_fer.progress import bar
from fsr_fer.restoration import fidelity, write_restored
from fsr_fer.run_stage import run_stage
from fsr_fer.settings import DownsampleSettings
from fsr_fer.stage import Stage, load_stage


def main(row: str) -> Stage:
    """Write ``data/<profile>/restored/<row>`` and how near its faces come to the full-size ones.

    A row has the scales that it has a network for.
    """
    stage = load_stage("restore", row)
    data, models = stage.data, stage.models
    manifest = read_manifest(data / "dataset/manifest.csv", stage.class_names)
    test, device, threads = manifest.rows("test"), choose_device(), torch.get_num_threads()
    full = Faces(open_faces(data / "dataset/images.npy"), test)
    values: dict[str, dict[str, dict[str, float]]] = {row: {}, "bicubic": {}}
    files = network_files(row, models)
    for scale in stage.scales:
        if scale not in files:
            continue
        small = open_faces(data / f"downsample/x{scale}.npy")
        path = data / f"restored/{row}/x{scale}.npy"
        restorer = Restorer(load_network(files[scale], Rcan, MetaSr))
        task = f"restore {row} x{scale}"
        write_restored(restorer, Faces(small, test), path, device, track=bar, task=task)
        restored = Faces(np.load(path, mmap_mode="r"), np.arange(len(test)))
        values[row][f"x{scale}"] = fidelity(full, restored, threads)
        bicubic = Faces(small, test, (scale, stage.settings(DownsampleSettings)))
        values["bicubic"][f"x{scale}"] = fidelity(full, bicubic, threads)
    write_json(stage.metrics / f"restoration/{row}.json", values)
    return stage


if __name__ == "__main__":
    run_stage(main)
