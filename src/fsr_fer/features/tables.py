"""Stored features: a folder of shards that a manifest closes.

    00000.npy  00001.npy  ...      [1024, d * (d + 1) / 2] each, the last one shorter
    manifest.json                  how many faces, which dtype, by which extractor

Where a shard ends depends on the faces alone, never on how many processes wrote them, so any number
of them makes the same files. The manifest is written last: a folder without one is not whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fsr_fer.errors import UserError
from fsr_fer.features.packing import STORED, decode, triangle_size
from fsr_fer.files import write_json

MANIFEST = "manifest.json"
SHARD_FACES = 1024
"""Faces of a shard: 32 MiB of float32 at the paper's size. DVC pays for each file, a killed run for
the shard it was at, and no more processes can share the work than there are shards."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a folder of features holds; its manifest in memory."""

    faces: int
    dim: int  # d of the [d, d] log-matrices
    dtype: str
    extractor: str  # sha256 of the network's file
    shard_faces: int = SHARD_FACES

    @property
    def shards(self) -> range:
        """Numbers of the shards."""
        return range(-(-self.faces // self.shard_faces))

    def rows(self, shard: int) -> slice:
        """The faces of a shard."""
        return slice(shard * self.shard_faces, min((shard + 1) * self.shard_faces, self.faces))

    def shape(self, shard: int) -> tuple[int, int]:
        """The shape of a shard's array."""
        rows = self.rows(shard)
        return rows.stop - rows.start, triangle_size(self.dim)

    @property
    def stored_dtype(self) -> np.dtype:
        """The dtype of the ``.npy`` files."""
        return np.dtype(STORED[self.dtype][1])

    def file(self, shard: int) -> str:
        """The name of a shard's file."""
        return f"{shard:05d}.npy"


class Table(Protocol):
    """Packed features of some faces, by position."""

    @property
    def dim(self) -> int:
        """D of the [d, d] log-matrices."""

    def __len__(self) -> int: ...

    def read(self, positions: np.ndarray) -> Tensor:
        """Features at these positions, [len(positions), P], in the dtype they are stored in."""


class StoredTable:
    """The features of one folder, mapped into memory: only what is read comes off the disk."""

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            UserError: it is not whole, or a shard is not what the manifest says.
        """
        self.folder = folder
        self.layout = _read_manifest(folder)
        self.shards = [_map_shard(folder, self.layout, shard) for shard in self.layout.shards]

    @property
    def dim(self) -> int:
        """D of the [d, d] log-matrices."""
        return self.layout.dim

    def __len__(self) -> int:
        return self.layout.faces

    def read(self, positions: np.ndarray) -> Tensor:
        """Features at these positions, [len(positions), P], in the dtype they are stored in."""
        stored = np.empty((len(positions), triangle_size(self.dim)), self.layout.stored_dtype)
        shards, rows = np.divmod(positions, self.layout.shard_faces)
        for shard in np.unique(shards):
            chosen = shards == shard
            stored[chosen] = self.shards[shard][rows[chosen]]
        return decode(stored, self.layout.dtype)


@dataclass(frozen=True)
class MemoryTable:
    """Features in memory, the GPU's or the CPU's, [N, P]."""

    values: Tensor
    dim: int

    def __len__(self) -> int:
        return len(self.values)

    def read(self, positions: np.ndarray) -> Tensor:
        """Features at these positions, [len(positions), P], on the device where they lie."""
        return self.values[torch.from_numpy(positions).to(self.values.device)]


@dataclass(frozen=True)
class Subset:
    """Some faces of a table, in an order of their own."""

    table: Table
    positions: np.ndarray  # int64 [N]

    @property
    def dim(self) -> int:
        """D of the [d, d] log-matrices."""
        return self.table.dim

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, positions: np.ndarray) -> Tensor:
        """Features at these positions of the subset."""
        return self.table.read(self.positions[positions])


def open_table(folder: Path, faces: int, extractor: str) -> StoredTable:
    """Open the stored features of so many faces, made by the extractor of this sha256.

    Raises:
        UserError: it is not whole, holds other faces, or another extractor made it.
    """
    table = StoredTable(folder)
    if len(table) != faces:
        raise UserError(f"{folder} holds {len(table)} faces, the manifest has {faces}")
    if table.layout.extractor != extractor:
        raise UserError(
            f"{folder} was made by another extractor ({table.layout.extractor[:12]}..., not "
            f"{extractor[:12]}...); `dvc repro` makes it anew"
        )
    return table


def in_memory(table: Table, device: torch.device, batch: int = 4096) -> MemoryTable:
    """A whole table on a device."""
    parts = [table.read(positions).to(device) for positions in in_order(len(table), batch)]
    return MemoryTable(torch.cat(parts), table.dim)


def in_order(count: int, batch: int) -> Iterator[np.ndarray]:
    """Positions 0..count-1, batch by batch."""
    for start in range(0, count, batch):
        yield np.arange(start, min(start + batch, count))


def close_folder(folder: Path, layout: Layout) -> None:
    """Write the manifest over shards that are all there.

    Raises:
        UserError: a shard is missing or has another shape.
    """
    for shard in layout.shards:
        _map_shard(folder, layout, shard)
    write_json(folder / MANIFEST, asdict(layout))


def is_whole(folder: Path, layout: Layout, shard: int) -> bool:
    """Whether the folder holds the whole shard."""
    return _mapped(folder, layout, shard) is not None


def _mapped(folder: Path, layout: Layout, shard: int) -> np.ndarray | None:
    """A shard mapped into memory; None if it is missing or not what the layout says."""
    try:
        stored: np.ndarray = np.load(folder / layout.file(shard), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # an empty file is an EOFError
        return None
    fits = stored.shape == layout.shape(shard) and stored.dtype == layout.stored_dtype
    return stored if fits else None


def _map_shard(folder: Path, layout: Layout, shard: int) -> np.ndarray:
    stored = _mapped(folder, layout, shard)
    if stored is None:
        path = folder / layout.file(shard)
        faces, numbers = layout.shape(shard)
        state = "is missing" if not path.exists() else "is damaged or cut off"
        raise UserError(
            f"{path} {state}; a shard of {faces} faces with {numbers} numbers each was expected"
        )
    return stored


def _read_manifest(folder: Path) -> Layout:
    path = folder / MANIFEST
    try:
        layout = Layout(**json.loads(path.read_text(encoding="utf-8")))
        sizes = (layout.faces, layout.dim, layout.shard_faces)
        if layout.dtype not in STORED or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise ValueError("a value is out of range")
    except FileNotFoundError:
        raise UserError(f"{folder} is not whole: it has no {MANIFEST}") from None
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no manifest of features: {error}") from error
    return layout
