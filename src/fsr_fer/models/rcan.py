"""RCAN: image super-resolution by residual channel attention (Zhang et al. 2018), one per scale.

Names of parameters are those of the published weights (RCAN_BIX2.pt).
"""

import math

from torch import Tensor, nn

from fsr_fer.models.image_tensors import MeanShift, conv3
from fsr_fer.models.settings import RcanSettings


class ChannelAttention(nn.Module):
    """Each channel times a weight in (0, 1) from all channels' means: [B, C, H, W] -> same."""

    def __init__(self, filters: int, reduction: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_du = nn.Sequential(
            nn.Conv2d(filters, filters // reduction, kernel_size=1),
            nn.ReLU(),
            nn.Conv2d(filters // reduction, filters, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, values: Tensor) -> Tensor:
        return values * self.conv_du(self.avg_pool(values))


class Residual(nn.Module):
    """Layers with a skip around them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        return values + self.body(values)


def residual_group(settings: RcanSettings) -> Residual:
    """Residual channel attention blocks (RCAB) and a convolution around a skip."""
    filters = settings.filters
    blocks = (
        Residual(
            conv3(filters, filters),
            nn.ReLU(),
            conv3(filters, filters),
            ChannelAttention(filters, settings.reduction),
        )
        for _ in range(settings.blocks)
    )
    return Residual(*blocks, conv3(filters, filters))


def upsampler(filters: int, scale: int) -> nn.Sequential:
    """Convolutions and pixel shuffles that enlarge by ``scale``, a power of two or 3."""
    steps = [3] if scale == 3 else [2] * round(math.log2(scale))
    if math.prod(steps) != scale:
        raise ValueError(f"RCAN enlarges by 2, 3, 4, 8, ..., not by {scale}")
    layers: list[nn.Module] = []
    for step in steps:
        layers += [conv3(filters, step**2 * filters), nn.PixelShuffle(step)]
    return nn.Sequential(*layers)


class Rcan(nn.Module):
    """Small square pictures [B, 3, n, n] of 0..255 -> [B, 3, full, full], about 0..255.

    Where ``scale * n`` exceeds ``full``, what lies beyond at the right and below is cut off.
    """

    def __init__(self, settings: RcanSettings, scale: int) -> None:
        super().__init__()
        self.settings, self.scale = settings, scale
        filters = settings.filters
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = nn.Sequential(conv3(3, filters))
        groups = (residual_group(settings) for _ in range(settings.groups))
        self.body = nn.Sequential(*groups, conv3(filters, filters))
        self.tail = nn.Sequential(upsampler(filters, scale), conv3(filters, 3))

    def forward(self, small: Tensor, full: int) -> Tensor:
        shallow = self.head(self.sub_mean(small))
        restored: Tensor = self.add_mean(self.tail(shallow + self.body(shallow)))
        return restored[..., :full, :full]
