"""Calibrate one network and measure it: ``python -m stages.pack``."""

from pathlib import PurePath
from typing import Any

import numpy as np

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.device import choose_device
from fsr_fer.common.files import write_json
from fsr_fer.data.manifest import read_manifest
from fsr_fer.data.settings import DatasetSettings
from fsr_fer.evaluation.packing import (
    bicubic,
    degradations,
    expected_accuracy,
    fit_temperature,
    logits_of,
    measured,
    probabilities,
)
from fsr_fer.evaluation.settings import PackSettings
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network, save_network
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``models/<profile>/packed.safetensors`` and ``metrics/<profile>/packed.json``."""
    settings = stage.settings(PackSettings)
    network, device = load_network(stage.paths.network(settings.model), CovPoolFER), choose_device()
    manifest = read_manifest(stage.paths.manifest, stage.class_names)
    images = open_faces(stage.paths.images)
    held_out, test = manifest.rows("validation"), manifest.rows("test")

    logits = {
        pixels: logits_of(network, images, held_out, pixels, bicubic, device, f"{pixels} pixels")
        for pixels in settings.sizes
    }
    coefficients = fit_temperature(logits, manifest.labels[held_out])

    labels, names, limit = manifest.labels[test], stage.class_names, settings.uncertain_below
    sources = np.array([manifest.ids[face].partition("/")[0] for face in test])
    several = stage.settings(DatasetSettings).source == "several"
    by_size: dict[int, Any] = {}
    by_source: dict[str, dict[int, Any]] = {}
    degraded: dict[str, dict[int, Any]] = {}
    for pixels in settings.sizes:
        made = logits_of(network, images, test, pixels, bicubic, device, f"test, {pixels} pixels")
        shares = probabilities(made, coefficients, pixels)
        by_size[pixels] = measured(labels, shares, names, limit)
        for source in sorted(set(sources)) if several else ():
            own = sources == source
            result = measured(labels[own], shares[own], names, limit)
            by_source.setdefault(source, {})[pixels] = result
    for name, change in degradations(stage.data_seed).items():
        for pixels in settings.degraded_sizes:
            made = logits_of(network, images, test, pixels, change, device, f"{name}, {pixels}")
            shares = probabilities(made, coefficients, pixels)
            degraded.setdefault(name, {})[pixels] = measured(labels, shares, names, limit)

    card = {
        "name": f"{stage.profile} {PurePath(settings.model).name}",
        "temperature": coefficients,
        "uncertain_below": limit,
        "smallest_pixels": min(settings.sizes),
        "expected_accuracy": expected_accuracy(by_size),
        "inputs": {str(path): md5 for path, md5 in stage.input_hashes.items()},
    }
    network.class_names = names
    save_network(stage.paths.network("packed"), network, card)
    results = {"by_size": by_size, "by_source": by_source, "degraded": degraded}
    write_json(stage.paths.metrics / "packed.json", {"model": card, **results})


if __name__ == "__main__":
    run_stage(main)
