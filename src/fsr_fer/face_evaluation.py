"""From pictures to predicted classes, for every row that reads faces and not stored features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fsr_fer.arrays import open_faces
from fsr_fer.data.manifest import IMAGE_SIZE, Manifest
from fsr_fer.downsampling import small_side
from fsr_fer.errors import UserError
from fsr_fer.evaluation import Answers, answers_of, joined
from fsr_fer.features.extraction import Faces, batch_size, cuts_of, stream
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.predictions import HR
from fsr_fer.progress import Track, quiet
from fsr_fer.settings import DownsampleSettings


class Reader(Protocol):
    """What names an expression: any network, with or without knowing how small the face was."""

    def __call__(self, faces: Tensor, pixels: int) -> Tensor:
        """Logits [B, classes] of faces brought to full size, uint8 [B, 100, 100, 3].

        ``pixels`` is the height that they had before, 100 for full-size ones.
        """


def plain_reader(network: CovPoolFER) -> Reader:
    """CovPoolFER, which does not ask how small a face was. It must be in eval mode."""

    def read(faces: Tensor, pixels: int) -> Tensor:
        _, logits = network(standardise(faces))
        return logits

    return read


def open_test_faces(
    images_path: Path,
    folder: Path,
    scales: tuple[int, ...],
    manifest: Manifest,
    downsample: DownsampleSettings,
) -> dict[str, Faces]:
    """The test faces at full size ("hr") and at each scale that ``folder`` has ("x2", ...).

    ``images_path`` holds all faces of the manifest at full size. The ``x<scale>.npy`` in ``folder``
    are either small ones of all faces of the manifest, which are put back to full size as
    ``downsample`` says, or full-size ones of the test faces alone: somebody restored them.

    Raises:
        UserError: a file holds something else, or the folder has none of the scales.
    """
    rows = manifest.rows("test")
    opened = {HR: Faces(open_faces(images_path), rows)}
    for scale in scales:
        path = folder / f"x{scale}.npy"
        if not path.exists():
            continue
        images = open_faces(path)
        found = len(images), images.shape[1:3]
        side = small_side(scale)
        if found == (len(manifest), (side, side)):
            opened[f"x{scale}"] = Faces(images, rows, (scale, downsample))
        elif found == (len(rows), (IMAGE_SIZE, IMAGE_SIZE)):
            opened[f"x{scale}"] = Faces(images, np.arange(len(rows)))
        else:
            raise UserError(
                f"{path} holds {found[0]} faces of {found[1][0]}x{found[1][1]} pixels; expected "
                f"the {len(manifest)} faces of the manifest with {side}x{side}, or its "
                f"{len(rows)} test faces with {IMAGE_SIZE}x{IMAGE_SIZE}"
            )
    if len(opened) == 1:
        raise UserError(f"{folder} has no x{scales[0]}.npy, nor faces of any other scale")
    return opened


def answer_faces(
    faces: Faces,
    pixels: int,
    read: Reader,
    device: torch.device,
    *,
    track: Track = quiet,
    task: str = "evaluate",
) -> Answers:
    """What is read from each face; memory does not grow with their number.

    ``pixels`` is the height of the faces before they were put back to full size.
    """

    @torch.inference_mode()
    def compute(batch: np.ndarray) -> Tensor:
        return read(torch.from_numpy(np.ascontiguousarray(batch)).to(device), pixels)

    cuts = cuts_of(0, len(faces.rows), batch_size(device))
    made = stream(faces, cuts, compute, answers_of, device)
    return joined(list(track(made, total=len(cuts), task=task)))


def predict_faces(
    faces: Mapping[str, Faces],
    read: Reader,
    device: torch.device,
    *,
    track: Track = quiet,
    task: str = "evaluate",
) -> dict[str, Answers]:
    """What is read at full size ("hr") and at each scale ("x2", ...) that there is."""
    answers = {}
    for column, some in faces.items():
        pixels = IMAGE_SIZE if column == HR else small_side(int(column.removeprefix("x")))
        answers[column] = answer_faces(
            some, pixels, read, device, track=track, task=f"{task} {column}"
        )
    return answers
