"""Features of the same faces at full size and downsampled: training data of the generator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.arrays import open_array
from fsr_fer.common.errors import UserError
from fsr_fer.data.manifest import Manifest
from fsr_fer.features.packing import unpack


@dataclass(frozen=True)
class FeaturePairs:
    """Features of the same faces at full size and at every scale, and their labels.

    The arrays are those of ``write_features``, [N, d * (d + 1) / 2] or [N, d, d]; they may be
    memory-mapped.
    """

    hr: np.ndarray
    lr: Mapping[int, np.ndarray]
    rows: np.ndarray  # int64 [N], where these faces lie in the arrays
    labels: np.ndarray  # int64 [N]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: np.ndarray | slice) -> Self:
        """A subset of the faces; nothing is read yet."""
        return replace(self, rows=self.rows[positions], labels=self.labels[positions])

    def read(
        self, faces: np.ndarray, scales: np.ndarray, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """F_lr and F_hr, float32 [B, 1, d, d], and labels [B] on ``device``.

        ``faces`` are positions, ``scales`` the factor each of them is read at, both int64 [B].
        """
        rows = self.rows[faces]
        packed = np.empty((2, len(rows), *self.hr.shape[1:]), self.hr.dtype)
        packed[1] = self.hr[rows]
        for scale in np.unique(scales):
            chosen = scales == scale
            packed[0, chosen] = self.lr[int(scale)][rows[chosen]]
        # Sent in the stored dtype and widened there: half the way for half the bytes.
        widened = torch.from_numpy(packed).to(device).to(torch.float32)
        lr, hr = (unpack(half) if half.ndim == 2 else half for half in widened)
        return lr[:, None], hr[:, None], torch.from_numpy(self.labels[faces]).to(device)


def open_pairs(
    folder: Path, manifest: Manifest, scales: Sequence[int]
) -> tuple[FeaturePairs, FeaturePairs]:
    """The stored features of the train and of the validation faces; nothing is read yet.

    UserError if a file is missing, cut off, or holds other faces than the manifest.
    """
    rows = manifest.rows("train", "validation")
    hr = open_array(folder / "hr.npy")
    lr = {scale: open_array(folder / f"x{scale}.npy") for scale in scales}
    for size, array in ("hr", hr), *lr.items():
        if len(array) != len(rows):
            raise UserError(f"{folder}: {size} has {len(array)} faces, the manifest {len(rows)}")
    pairs = FeaturePairs(hr, lr, np.arange(len(rows)), manifest.labels[rows])
    held_out = np.isin(rows, manifest.rows("validation"))
    return pairs.take(~held_out), pairs.take(held_out)
