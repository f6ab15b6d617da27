"""Meta-SR: one network for every factor, whole or not (Hu et al. 2019; Meta-RDN).

Names of parameters are those of the published weights (model_1000.pt).
"""

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.models.image_tensors import MeanShift, conv3
from fsr_fer.models.settings import MetaSrSettings

VALUES_AT_ONCE = 2**24
"""Values of patches per matrix product, 64 MiB in float32. It bounds memory, nothing else."""


class ResidualDenseBlock(nn.Module):
    """RDB: densely connected convolutions, fused by a 1x1 one, around a skip."""

    def __init__(self, settings: MetaSrSettings) -> None:
        super().__init__()
        filters, growth, layers = settings.filters, settings.growth, settings.layers
        self.convs = nn.ModuleList()
        for layer in range(layers):
            conv = nn.Sequential(conv3(filters + layer * growth, growth), nn.ReLU())
            self.convs.append(nn.ModuleDict({"conv": conv}))
        self.LFF = nn.Conv2d(filters + layers * growth, filters, kernel_size=1)

    def forward(self, values: Tensor) -> Tensor:
        seen = values
        for conv in self.convs:
            seen = torch.cat([seen, conv.get_submodule("conv")(seen)], dim=1)
        return values + self.LFF(seen)


class MetaSr(nn.Module):
    """Small square pictures [B, 3, n, n] of 0..255 -> [B, 3, full, full], about 0..255."""

    def __init__(self, settings: MetaSrSettings) -> None:
        super().__init__()
        self.settings = settings
        filters, blocks = settings.filters, settings.blocks
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.SFENet1, self.SFENet2 = conv3(3, filters), conv3(filters, filters)
        self.RDBs = nn.ModuleList(ResidualDenseBlock(settings) for _ in range(blocks))
        self.GFF = nn.Sequential(
            nn.Conv2d(blocks * filters, filters, kernel_size=1), conv3(filters, filters)
        )
        # P2W: how an output pixel lies on its input pixel -> the kernel that makes it.
        outputs = 9 * filters * 3
        positions_to_kernels = nn.Sequential(
            nn.Linear(3, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, outputs)
        )
        self.P2W = nn.ModuleDict({"meta_block": positions_to_kernels})
        self._kernels: dict[tuple[int, int], Tensor] = {}

    def forward(self, small: Tensor, full: int) -> Tensor:
        shallow = self.SFENet1(self.sub_mean(small))
        deep = self.SFENet2(shallow)
        outputs = []
        for block in self.RDBs:
            deep = block(deep)
            outputs.append(deep)
        features = self.GFF(torch.cat(outputs, dim=1)) + shallow
        restored: Tensor = self.add_mean(self.enlarge(features, full))
        return restored

    def enlarge(self, features: Tensor, full: int) -> Tensor:
        """Meta-upscale, [B, filters, n, n] -> [B, 3, full, full].

        Each output pixel is its own kernel times the 3x3 patch around the input pixel it lies on.
        """
        size, batch = features.shape[-1], len(features)
        # Input pixel, face, value of 9 * filters.
        patches = functional.unfold(features, 3, padding=1).permute(2, 0, 1)
        pixels = torch.arange(full, device=features.device)
        kernels = self.kernels(size, full)
        cycle = len(kernels)
        read, phase = pixels * size // full, pixels % cycle
        rows_at_once = max(1, VALUES_AT_ONCE // (full * batch * patches.shape[-1]))
        parts = []
        for rows in pixels.split(rows_at_once):
            # index_select: its gradient adds rows, that of plain indexing value after value.
            taken = patches.index_select(0, (read[rows, None] * size + read).flatten())
            which = (phase[rows, None] * cycle + phase).flatten()
            chosen = kernels.flatten(0, 1).index_select(0, which)
            colours = torch.bmm(taken, chosen)  # [output pixel, B, 3]
            parts.append(colours.view(len(rows), full, batch, 3))
        return torch.cat(parts).permute(2, 3, 0, 1)

    def kernels(self, size: int, full: int) -> Tensor:
        """All distinct kernels, [cycle, cycle, 9 * filters, 3]; cached while not training.

        Each is made from (size / full, row offset, column offset). Output row i reads input row
        (i * size) // full and lies ((i * size) % full) / full below it: in whole numbers, as
        floating point floors wrongly at some sizes. So offsets repeat after ``cycle`` pixels.
        """
        key = (size, full)
        if key in self._kernels and not self.training:
            return self._kernels[key]
        cycle = full // math.gcd(size, full)
        offsets = (torch.arange(cycle) * size % full).float() / full
        rows, columns = torch.meshgrid(offsets, offsets, indexing="ij")
        positions = torch.stack([torch.full_like(rows, size / full), rows, columns], dim=-1)
        kernels: Tensor = self.P2W["meta_block"](positions.to(self.SFENet1.weight))
        kernels = kernels.unflatten(-1, (-1, 3))
        if not self.training:
            self._kernels[key] = kernels
        return kernels

    def train(self, mode: bool = True) -> Self:
        """As torch's; also clears the cached kernels, since the weights may change."""
        self._kernels.clear()
        return super().train(mode)
