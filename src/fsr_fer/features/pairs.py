"""Features of the same faces at full size and small, as the generator's training reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsr_fer.data.manifest import Manifest
from fsr_fer.features.packing import bits, triangle_size, unpack
from fsr_fer.features.tables import StoredTable, Subset, Table, in_memory, open_table


@dataclass(frozen=True)
class FeaturePairs:
    """Features of the same faces at full size and at every scale, and their labels."""

    hr: Table
    lr: Mapping[int, Table]
    labels: np.ndarray  # int64 [N]

    @property
    def dim(self) -> int:
        """D of the [d, d] log-matrices."""
        return self.hr.dim

    def take(self, positions: np.ndarray) -> FeaturePairs:
        """Some of the faces; nothing is read yet."""
        return FeaturePairs(
            Subset(self.hr, positions),
            {scale: Subset(table, positions) for scale, table in self.lr.items()},
            self.labels[positions],
        )

    def resident(self, device: torch.device) -> FeaturePairs:
        """The same features in the GPU's memory if they fill at most half of what is free there.

        On a CPU, and where they do not fit, they stay mapped into memory from the disk.
        """
        if device.type != "cuda":
            return self
        tables = {0: self.hr, **self.lr}
        size = sum(
            len(table) * triangle_size(table.dim) * _width(table) for table in tables.values()
        )
        free, _ = torch.cuda.mem_get_info(device)
        if size > free / 2:
            return self
        held = {scale: in_memory(table, device) for scale, table in tables.items()}
        return FeaturePairs(held.pop(0), held, self.labels)

    def read(self, faces: np.ndarray, scales: np.ndarray) -> tuple[Tensor, Tensor]:
        """Packed features as they are stored, [2, B, P] (small, then full size), and labels [B].

        ``faces`` are positions, ``scales`` the factor each of them is read at, both int64 [B].
        """
        hr = self.hr.read(faces)
        packed = torch.empty((2, *hr.shape), dtype=hr.dtype, device=hr.device)
        # On a CPU by NumPy: this runs beside the training, whose threads torch's would disturb.
        small, full = (bits(half) if hr.device.type == "cpu" else half for half in packed)
        full[:] = bits(hr) if hr.device.type == "cpu" else hr
        for scale in np.unique(scales):
            chosen = np.flatnonzero(scales == scale)
            rows = self.lr[int(scale)].read(faces[chosen])
            if hr.device.type == "cpu":
                small[chosen] = bits(rows)
            else:
                small[torch.from_numpy(chosen).to(hr.device)] = rows
        return packed, torch.from_numpy(self.labels[faces])


def open_pairs(
    folder: Path, manifest: Manifest, scales: Sequence[int], extractor: str
) -> tuple[FeaturePairs, FeaturePairs]:
    """The stored features of the train and of the validation faces; nothing is read yet.

    ``folder`` holds those of both, as the features stage wrote them by the network of the hash
    ``extractor``.

    Raises:
        UserError: they are not there, not whole, or another network's.
    """
    rows = manifest.rows("train", "validation")
    hr, *lr = (
        open_table(folder / name, len(rows), extractor)
        for name in ("hr", *(f"x{scale}" for scale in scales))
    )
    pairs = FeaturePairs(hr, dict(zip(scales, lr, strict=True)), manifest.labels[rows])
    held_out = np.isin(rows, manifest.rows("validation"))
    return pairs.take(np.flatnonzero(~held_out)), pairs.take(np.flatnonzero(held_out))


def as_maps(packed: Tensor, labels: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What ``read`` gave, ready for the networks: F_lr and F_hr, float32 [B, 1, d, d], and labels.

    Sent in the stored dtype and widened on the device, which halves the way for half the bytes.
    """
    lr, hr = (unpack(half)[:, None] for half in packed.to(device).to(torch.float32))
    return lr, hr, labels.to(device)


def _width(table: Table) -> int:
    while isinstance(table, Subset):
        table = table.table
    return table.layout.stored_dtype.itemsize if isinstance(table, StoredTable) else 4
