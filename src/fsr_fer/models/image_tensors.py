"""Layers and conversions that RCAN and Meta-SR share."""

import torch
from torch import Tensor, nn

from fsr_fer.common.settings import FULL_SIZE

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K's train images, 0 to 1; both official models were trained with it."""


class MeanShift(nn.Conv2d):
    """Adds ``sign`` times the mean colour, [B, 3, H, W] of 0..255 -> same; does not learn.

    A 1x1 convolution as in the sources, since official weights bring their own values.
    """

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, kernel_size=1)
        self.weight = nn.Parameter(torch.eye(3)[:, :, None, None], requires_grad=False)
        self.bias = nn.Parameter(sign * 255 * torch.tensor(DIV2K_MEAN), requires_grad=False)


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, with bias, initialised as torch does."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


def as_picture(values: Tensor) -> Tensor:
    """Clamped and rounded to 8 bit: float [B, 3, H, W] of about 0..255 -> uint8 [B, H, W, 3]."""
    rounded = (values.clamp(0, 255) + 0.5).floor()
    return rounded.permute(0, 2, 3, 1).to(torch.uint8)


def as_values(pictures: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] of 0..255."""
    return pictures.permute(0, 3, 1, 2).float()


class Restorer(nn.Module):
    """Rcan or MetaSr on pictures: small faces uint8 [B, n, n, 3] -> uint8 [B, 100, 100, 3]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, small: Tensor) -> Tensor:
        return as_picture(self.network(as_values(small), FULL_SIZE))
