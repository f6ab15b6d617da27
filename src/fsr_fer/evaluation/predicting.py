"""Prediction of the test faces by one method, at full size and at each scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.face_stream import Faces
from fsr_fer.data.manifest import Manifest
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.class_balance import EvaluateSettings, log_class_shares
from fsr_fer.evaluation.methods import Method
from fsr_fer.evaluation.predictions import HR, PredictionTable


def open_test_faces(
    images_path: Path,
    folder: Path,
    scales: Sequence[int],
    rows: np.ndarray,
    downsample: DownsampleSettings,
) -> dict[str, Faces]:
    """The test faces, ``rows``, at full size ("hr") and each scale that ``folder`` has.

    Its x2.npy, ... hold all faces downsampled, which ``downsample`` resizes to full size, or the
    test faces alone, restored. UserError if the folder has none of the scales.
    """
    opened = {HR: Faces(open_faces(images_path), rows)}
    for scale in scales:
        path = folder / f"x{scale}.npy"
        if not path.exists():
            continue
        images = open_faces(path)
        if images.shape[1] == FULL_SIZE:
            opened[f"x{scale}"] = Faces(images, np.arange(len(images)))
        else:
            opened[f"x{scale}"] = Faces(images, rows, (scale, downsample))
    if len(opened) == 1:
        raise UserError(f"{folder} has no x{scales[0]}.npy, nor faces of any other scale")
    return opened


def predict_test_faces(
    name: str,
    method: Method,
    faces: Mapping[str, Faces],
    manifest: Manifest,
    settings: EvaluateSettings,
    device: torch.device,
) -> PredictionTable:
    """What the method predicts for the faces that ``open_test_faces`` opened.

    UserError if it was trained on other classes than the manifest's.
    """
    known, wanted = method.network.class_names, manifest.class_names
    if known != wanted:
        raise UserError(f"{name} was trained on the classes {known}, not {wanted}")
    shares = log_class_shares(manifest.labels[manifest.rows("train")], len(wanted))
    bias = torch.from_numpy(-settings.class_balance * shares)
    rows = manifest.rows("test")
    predicted, confidence = {}, {}
    for column, some in faces.items():
        made = method.predict(some, column != HR, bias, device, f"evaluate {name} {column}")
        predicted[column], confidence[column] = made
    return PredictionTable(
        ids=tuple(manifest.ids[row] for row in rows),
        labels=manifest.labels[rows],
        class_names=wanted,
        predicted=predicted,
        confidence=confidence,
    )
