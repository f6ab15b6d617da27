"""Colours around zero: what RCAN and Meta-SR share."""

import torch
from torch import Tensor, nn

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K's train images, 0 to 1; both official models were trained with it."""


class MeanShift(nn.Conv2d):
    """Adds ``sign`` times the mean colour, [B, 3, H, W] of 0..255 -> same.

    A 1x1 convolution as in the sources, where it could drift in training: official weights bring
    their own values, and ours do not learn.
    """

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, kernel_size=1)
        with torch.no_grad():
            self.weight.copy_(torch.eye(3)[:, :, None, None])
            assert self.bias is not None
            self.bias.copy_(sign * 255 * torch.tensor(DIV2K_MEAN))
        self.requires_grad_(False)


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
