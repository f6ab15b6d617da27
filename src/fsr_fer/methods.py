"""Each row of the table as one network: a small face in, an expression out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from fsr_fer.downsampling import restore
from fsr_fer.errors import UserError
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.models.generator import Generator
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.super_resolution import FOLDERS, Restorer, network_files
from fsr_fer.models.weights import load_network
from fsr_fer.predictions import HR
from fsr_fer.settings import DownsampleSettings


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a row runs to read a face; all networks in eval mode.

    ``restorers`` bring small faces to full size, keyed by the column: uint8 [B, h, w, 3] to uint8
    [B, 100, 100, 3]. A row that has any exists at those columns and at full size alone; all others
    stretch small faces with bicubic. The generator, if there is one, works on features of faces
    that were small.
    """

    network: CovPoolFER
    generator: Generator | None = None
    restorers: Mapping[str, nn.Module] = field(default_factory=dict)

    def reads(self, column: str) -> bool:
        """Whether the row exists at this size."""
        return column == HR or not self.restorers or column in self.restorers

    def modules(self, column: str) -> tuple[nn.Module, ...]:
        """The networks that a face of this size goes through."""
        if column == HR:
            return (self.network,)
        parts = self.restorers.get(column), self.network, self.generator
        return tuple(part for part in parts if part is not None)

    def logits(self, small: Tensor, column: str, downsample: DownsampleSettings) -> Tensor:
        """Uint8 faces [B, h, w, 3] of a column's size -> [B, classes], on the faces' device."""
        features = self.network.extractor(standardise(self._full(small, column, downsample)))
        if self.generator is not None and column != HR:
            features = self.generator(features[:, None])
        _, logits = self.network.classifier(features)
        return logits

    def _full(self, small: Tensor, column: str, downsample: DownsampleSettings) -> Tensor:
        if column == HR:
            return small
        if self.restorers:
            full: Tensor = self.restorers[column](small)
            return full
        scale = int(column.removeprefix("x"))
        if small.device.type == "cpu":
            return torch.from_numpy(restore(small.numpy(), scale, downsample))
        return restore(small, scale, downsample)


def load_method(row: str, models: Path) -> Method:
    """A row by the networks that the pipeline trained for it below ``models``.

    Raises:
        UserError: there are none for a row of this name, or they cannot be read.
    """
    finetuned = models / f"finetune/{row}.safetensors"
    if finetuned.exists():
        return Method(network=load_network(finetuned, CovPoolFER))
    network = load_network(models / "pretrain.safetensors", CovPoolFER)
    if row == "bicubic":
        return Method(network=network)
    if row.startswith("fsr_"):
        path = models / f"fsr/{row.removeprefix('fsr_')}.safetensors"
        return Method(network=network, generator=load_network(path, Generator))
    if row in FOLDERS:
        files = network_files(row, models)
        loaded = {path: Restorer(load_network(path, Rcan, MetaSr)) for path in set(files.values())}
        restorers = {f"x{scale}": loaded[path] for scale, path in files.items()}
        return Method(network=network, restorers=restorers)
    raise UserError(f"no network of {row!r} is known; {finetuned} does not exist")
