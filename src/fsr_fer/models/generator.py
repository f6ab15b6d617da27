"""The generator: residual-in-residual dense blocks at constant size (section 3.4).

It maps the log-matrix of a small face to that of the full-size one, F_sr = G(F_lr) (equation 3).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.models.settings import GeneratorSettings

LEAK = 0.2
RESIDUAL_SCALE = 0.2  # of dense blocks and RRDBs, as in ESRGAN
DENSE_BLOCKS = 3
DENSE_CONVS = 5


class Generator(nn.Module):
    """F_lr [B, 1, d, d] -> F_sr [B, 1, d, d]; linear output, not symmetrised."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.settings = settings
        filters, tail = settings.filters, settings.tail_kernel
        self.conv_first = nn.Conv2d(1, filters, 3)
        self.body = nn.Sequential(*(ResidualInResidual(settings) for _ in range(settings.blocks)))
        self.conv_body = nn.Conv2d(filters, filters, 3)
        self.conv_hr = nn.Conv2d(filters, filters, tail)
        self.conv_last = nn.Conv2d(filters, 1, tail)
        he_init(self)
        with torch.no_grad():
            for module in self.body.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight *= settings.init_scale
            if settings.long_skip:
                self.conv_last.weight.zero_()  # starts as the identity, without noise added

    def forward(self, lr_features: Tensor) -> Tensor:
        tail = self.settings.tail_kernel
        first = self.conv_first(padded(lr_features, 3))
        trunk = first + self.conv_body(padded(self.body(first), 3))
        seen = functional.leaky_relu(self.conv_hr(padded(trunk, tail)), LEAK)
        output: Tensor = self.conv_last(padded(seen, tail))
        return lr_features + output if self.settings.long_skip else output


class ResidualInResidual(nn.Module):
    """Three dense blocks inside one scaled residual connection (RRDB)."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(DenseBlock(settings) for _ in range(DENSE_BLOCKS)))

    def forward(self, values: Tensor) -> Tensor:
        return values + RESIDUAL_SCALE * self.dense(values)


class DenseBlock(nn.Module):
    """Five convolutions, each reading everything before it, in a scaled residual connection."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        filters, growth = settings.filters, settings.growth
        widths = [growth] * (DENSE_CONVS - 1) + [filters]
        # An affine after the convolution makes its bias redundant.
        bias = not settings.channel_affine
        self.convs = nn.ModuleList(
            nn.Conv2d(filters + i * growth, width, 3, padding=1, bias=bias)
            for i, width in enumerate(widths)
        )
        self.affines = nn.ModuleList(
            ChannelAffine(width) if settings.channel_affine else nn.Identity() for width in widths
        )

    def forward(self, values: Tensor) -> Tensor:
        seen = [values]
        for conv, affine in zip(self.convs[:-1], self.affines[:-1], strict=True):
            seen.append(functional.leaky_relu(affine(conv(torch.cat(seen, dim=1))), LEAK))
        last: Tensor = self.affines[-1](self.convs[-1](torch.cat(seen, dim=1)))
        return values + RESIDUAL_SCALE * last


class ChannelAffine(nn.Module):
    """Scale and shift per channel: what batch normalisation in inference mode comes down to."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        return self.gamma * values + self.beta


def he_init(network: nn.Module) -> None:
    """He normal weights for all convolutions and linear layers, biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def padded(values: Tensor, kernel: int) -> Tensor:
    """Zeros around maps, so that a convolution keeps their size.

    An even kernel gets one more at the bottom and right.
    """
    before, after = (kernel - 1) // 2, kernel // 2
    return functional.pad(values, (before, after, before, after))
