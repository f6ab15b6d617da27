"""What torch runs as a model that predicts pictures, as ``fsr_fer.load`` returns it."""

import csv
from pathlib import Path

import numpy as np
import torch

from fsr_fer.common.device import choose_device
from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.evaluation.methods import load_method
from fsr_fer.evaluation.packed_file import read_packed
from fsr_fer.evaluation.packing import mirrored_logits, probabilities
from fsr_fer.models.covpool import standardise
from fsr_fer.pipeline.dvc_tracking import find_root
from fsr_fer.pipeline.params import selected_profile
from fsr_fer.pipeline.paths import Paths
from fsr_fer.predict.detector import Detector
from fsr_fer.predict.model import Model
from fsr_fer.predict.model_file import Card, card_of
from fsr_fer.predict.results import SMALLEST_FACE

LICENCE = "that of the faces it was trained on"


def load_method_model(
    name: str, profile: str | None, device: str | None, detector: Detector | None
) -> Model:
    """The method ``name`` of ``profile`` or of the selected one, in the current folder.

    It predicts what ``evaluate`` does for the same face: no calibration, and nothing is uncertain.
    ``device`` is as in FSR_FER_DEVICE, which is used if it is None. As a side effect torch computes
    on one thread per calling thread. UserError if there is no such method, its network is missing,
    or it needs restored faces.
    """
    try:
        root = find_root()
    except UserError as error:
        raise UserError(
            f"{name!r} is no model file; for a method of the pipeline: {error}"
        ) from None
    profile, values = selected_profile(root, profile)
    methods = values["methods"]
    usable = [row for row, own in methods.items() if own["faces"] == "downsample"]
    if name not in usable:
        what = "needs restored faces" if name in methods else "is no method"
        raise UserError(
            f"{name!r} is no model file, and in the profile {profile} it {what}; methods that "
            f"predict pictures are {', '.join(usable)}"
        )
    settings, paths = MethodSettings(**methods[name]), Paths(profile)
    if not (root / paths.network(settings.model)).exists():
        raise UserError(
            f"{paths.network(settings.model)} is not there: `dvc pull`, or `dvc repro` where "
            f"params.yaml has profile: {profile}"
        )
    method = load_method(settings, root / paths.models)
    torch.set_num_threads(1)
    pixels, accuracy = _measured(root / paths.metrics / "accuracy_by_scale.csv", name)
    card = Card(
        name=f"{profile}/{name}",
        class_names=method.network.class_names,
        smallest_pixels=int(min((SMALLEST_FACE, *pixels))),
        uncertain_below=0.0,
        pixels=pixels,
        accuracy=accuracy,
        licence=LICENCE,
    )
    chosen = choose_device(device)
    method.to(chosen)

    @torch.inference_mode()
    def probabilities_of(faces: np.ndarray, sides: np.ndarray) -> np.ndarray:
        result = np.empty((len(faces), len(card.class_names)))
        for rows, are_small in ((sides < FULL_SIZE, True), (sides >= FULL_SIZE, False)):
            if rows.any():
                logits = method.logits(torch.from_numpy(faces[rows]).to(chosen), are_small).cpu()
                result[rows] = logits.to(torch.float64).softmax(dim=1).numpy()
        return result

    return Model(card, probabilities_of, detector)


def load_packed(path: Path, device: str | None, detector: Detector | None) -> Model:
    """The calibrated network that the stage ``pack`` left in the file ``path``.

    It predicts what the file that ``fsr-fer export`` writes would. As a side effect torch computes
    on one thread per calling thread. UserError if the file is missing or no packed network.
    """
    network, metadata = read_packed(path, LICENCE)
    torch.set_num_threads(1)
    card, temperature = card_of(metadata), metadata["temperature"]
    chosen = choose_device(device)
    network.to(chosen)

    @torch.inference_mode()
    def probabilities_of(faces: np.ndarray, sides: np.ndarray) -> np.ndarray:
        images = standardise(torch.from_numpy(faces).to(chosen))
        logits = mirrored_logits(network, images).cpu().to(torch.float64).numpy()
        sides = sides.clip(min(card.pixels), max(card.pixels))
        return np.concatenate(
            [probabilities(logits[[row]], temperature, side) for row, side in enumerate(sides)]
        )

    return Model(card, probabilities_of, detector)


def _measured(file: Path, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Sides in pixels, ascending, and the accuracy at them, 0 to 1; empty if not measured."""
    if not file.exists():
        return (), ()
    with open(file, newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["method"] == name]
    points = sorted((float(row["pixels"]), float(row["accuracy"]) / 100) for row in rows)
    return tuple(point[0] for point in points), tuple(point[1] for point in points)
