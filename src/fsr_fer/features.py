"""Second-order features on disk: one packed file per resolution and split.

A log-matrix is symmetric, so only its upper triangle is stored, row by row: [N, d * (d + 1) / 2]
in a plain ``.npy`` file that readers map into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsr_fer.arrays import writing_array
from fsr_fer.downsampling import restore
from fsr_fer.errors import UserError
from fsr_fer.models.covpool import FeatureExtractor, standardise
from fsr_fer.progress import Track, quiet
from fsr_fer.settings import DownsampleSettings

BATCH = 32


def triangle_size(dim: int) -> int:
    """Numbers in the upper triangle of a [dim, dim] matrix, its diagonal included."""
    return dim * (dim + 1) // 2


def dim_of(size: int) -> int:
    """The inverse of ``triangle_size``.

    Raises:
        ValueError: no matrix has a triangle of that size.
    """
    dim = int(((8 * size + 1) ** 0.5 - 1) / 2)
    if triangle_size(dim) != size:
        raise ValueError(f"{size} numbers are no triangle of a square matrix")
    return dim


def pack(matrices: Tensor) -> Tensor:
    """Upper triangles of symmetric matrices, [B, d, d] -> [B, d * (d + 1) / 2]."""
    rows, columns = torch.triu_indices(matrices.shape[1], matrices.shape[2])
    return matrices[:, rows, columns]


def unpack(triangles: Tensor) -> Tensor:
    """Symmetric matrices from their upper triangles, [B, d * (d + 1) / 2] -> [B, d, d]."""
    dim = dim_of(triangles.shape[1])
    rows, columns = torch.triu_indices(dim, dim)
    position = torch.empty(dim, dim, dtype=torch.int64)
    position[rows, columns] = torch.arange(len(rows))
    position[columns, rows] = torch.arange(len(rows))
    return triangles[:, position.to(triangles.device)]


@torch.inference_mode()
def extract(
    extractor: FeatureExtractor, faces: Iterable[np.ndarray], device: torch.device
) -> Iterable[np.ndarray]:
    """Packed features of batches of full-size faces, uint8 [B, 100, 100, 3] -> float32 [B, P]."""
    for batch in faces:
        images = torch.from_numpy(np.ascontiguousarray(batch)).to(device)
        yield pack(extractor(standardise(images))).cpu().numpy()


def write_features(
    extractor: FeatureExtractor,
    images: np.ndarray,
    rows: np.ndarray,
    path: Path,
    *,
    restored: tuple[int, DownsampleSettings] | None,
    dtype: str,
    device: torch.device,
    track: Track = quiet,
    task: str = "features",
) -> None:
    """Extract the features of some rows of ``images`` into one file, in the rows' order.

    ``images`` are full-size faces, or small ones that are put back to full size first; then
    ``restored`` says from which scale and how. Streams: memory does not grow with the faces.
    """
    extractor.eval()
    starts = range(0, len(rows), BATCH)

    def batches() -> Iterable[np.ndarray]:
        for start in track(starts, total=len(starts), task=task):
            batch = np.asarray(images[rows[start : start + BATCH]])
            yield batch if restored is None else restore(batch, *restored)

    size = triangle_size(extractor.settings.bimap_dim)
    with writing_array(path, np.dtype(dtype), (len(rows), size)) as append:
        for packed in extract(extractor, batches(), device):
            append(packed)


def open_features(path: Path, count: int) -> np.ndarray:
    """Map a feature file of ``count`` faces into memory, [count, P].

    Raises:
        UserError: it cannot be read or holds another number of faces.
    """
    try:
        table: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable feature file: {error}") from error
    if table.ndim != 2 or len(table) != count:
        raise UserError(f"{path} holds {table.shape[0]} faces, the manifest has {count}")
    return table


@dataclass(frozen=True)
class FeaturePairs:
    """Features of the same faces at full size and at every scale, [N, P] each, and their labels."""

    hr: np.ndarray
    lr: Mapping[int, np.ndarray]
    labels: np.ndarray  # int64 [N]

    @property
    def dim(self) -> int:
        """D of the [d, d] log-matrices."""
        return dim_of(self.hr.shape[1])

    def take(self, rows: np.ndarray) -> FeaturePairs:
        """Some of the faces, read into memory where they are not all."""
        return FeaturePairs(
            self.hr[rows],
            {scale: table[rows] for scale, table in self.lr.items()},
            self.labels[rows],
        )

    def batch(self, faces: Tensor, scales: Tensor, device: torch.device) -> tuple[Tensor, ...]:
        """F_lr and F_hr, float32 [B, 1, d, d], and labels, int64 [B].

        ``faces`` are positions, ``scales`` the factor each of them is read at, both int64 [B].
        """
        chosen, factors = faces.numpy(), scales.numpy()
        lr = np.empty((len(chosen), self.hr.shape[1]), self.hr.dtype)
        for scale in np.unique(factors):
            lr[factors == scale] = self.lr[int(scale)][chosen[factors == scale]]
        packed = torch.from_numpy(np.stack([lr, self.hr[chosen]])).to(device, torch.float32)
        maps = unpack(packed.flatten(0, 1)).view(2, len(chosen), 1, self.dim, self.dim)
        return maps[0], maps[1], torch.from_numpy(self.labels[chosen]).to(device)
