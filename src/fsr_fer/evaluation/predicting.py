"""What a method predicts for the test faces, at full size and at each scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from fsr_fer.common.arrays import open_faces
from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.downsampling import small_side
from fsr_fer.data.face_stream import Faces
from fsr_fer.data.manifest import Manifest
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.methods import Method
from fsr_fer.evaluation.predictions import HR, PredictionTable


def open_test_faces(
    images_path: Path,
    folder: Path,
    scales: Sequence[int],
    manifest: Manifest,
    downsample: DownsampleSettings,
) -> dict[str, Faces]:
    """The test faces at full size ("hr") and at each scale that ``folder`` has ("x2", ...).

    ``images_path`` holds all faces of the manifest at full size. The ``x<scale>.npy`` in ``folder``
    are either small ones of them all, which are put back to full size as ``downsample`` says, or
    restored ones of the test faces alone.

    Raises:
        UserError: a file holds other faces, or the folder has none of the scales.
    """
    rows = manifest.rows("test")
    opened = {HR: Faces(open_faces(images_path), rows)}
    for scale in scales:
        path = folder / f"x{scale}.npy"
        if not path.exists():
            continue
        images = open_faces(path)
        full = images.shape[1] == FULL_SIZE
        expected = (len(rows), FULL_SIZE) if full else (len(manifest), small_side(scale))
        if images.shape[:2] != expected:
            raise UserError(
                f"{path} holds {len(images)} faces of {images.shape[1]} pixels; expected "
                f"{expected[0]} of {expected[1]}"
            )
        if full:
            opened[f"x{scale}"] = Faces(images, np.arange(len(rows)))
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
    device: torch.device,
) -> PredictionTable:
    """What the method of this name predicts for the faces that ``open_test_faces`` opened.

    Raises:
        UserError: it was trained on other classes than the manifest's.
    """
    if (known := method.network.class_names) != manifest.class_names:
        raise UserError(f"{name} was trained on the classes {known}, not {manifest.class_names}")
    rows = manifest.rows("test")
    predicted, confidence = {}, {}
    for column, some in faces.items():
        made = method.predict(some, column != HR, device, f"evaluate {name} {column}")
        predicted[column], confidence[column] = made
    return PredictionTable(
        ids=tuple(manifest.ids[row] for row in rows),
        labels=manifest.labels[rows],
        class_names=manifest.class_names,
        predicted=predicted,
        confidence=confidence,
    )
