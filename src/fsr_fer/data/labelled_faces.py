"""Faces of one split with their classes, as trainings read them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.arrays import open_faces
from fsr_fer.data.manifest import read_manifest


@dataclass(frozen=True)
class LabelledFaces:
    """Faces of one split: ``images`` uint8 [N, 100, 100, 3] (may lie on disk), some of its rows."""

    images: np.ndarray
    rows: np.ndarray  # int64, positions in images
    labels: np.ndarray  # int64, one per row
    shares: np.ndarray | None = None  # float32 [N, classes], of the votes

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, part: slice | np.ndarray) -> Self:
        """Some of the faces; nothing is read yet."""
        shares = None if self.shares is None else self.shares[part]
        return type(self)(self.images, self.rows[part], self.labels[part], shares)

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [B, 100, 100, 3] and labels int64 [B] at these positions of the split."""
        chosen = positions.numpy()
        images = torch.from_numpy(np.ascontiguousarray(self.images[self.rows[chosen]]))
        return images, torch.from_numpy(self.labels[chosen])

    def targets(self, positions: Tensor, soft: bool) -> Tensor:
        """Labels, int64 [B]; if ``soft`` and there are votes their shares, float32 [B, classes]."""
        targets = self.shares if soft and self.shares is not None else self.labels
        return torch.from_numpy(targets[positions.numpy()])


def open_faces_of(
    dataset: Path, class_names: tuple[str, ...]
) -> tuple[LabelledFaces, LabelledFaces]:
    """The train and the validation faces of a dataset, read when needed.

    UserError if images.npy is damaged, or a label is none of ``class_names``.
    """
    images = open_faces(dataset / "images.npy")
    manifest = read_manifest(dataset / "manifest.csv", class_names)
    faces = LabelledFaces(images, np.arange(len(images)), manifest.labels, manifest.shares)
    return faces.take(manifest.rows("train")), faces.take(manifest.rows("validation"))
