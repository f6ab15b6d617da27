"""State dicts with the published files' lists of keys, made without our networks."""

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def conv(name: str, inputs: int, outputs: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def rcan(
    scale: int, groups: int = 10, blocks: int = 20, f: int = 64, reduction: int = 16
) -> Shapes:
    """Names and shapes of RCAN_BIX<scale>.pt, at full size unless told."""
    shapes = conv("sub_mean", 3, 3, 1) | conv("head.0", 3, f)
    for i in range(groups):
        for j in range(blocks):
            block = f"body.{i}.body.{j}.body"
            shapes |= conv(f"{block}.0", f, f) | conv(f"{block}.2", f, f)
            shapes |= conv(f"{block}.3.conv_du.0", f, f // reduction, 1)
            shapes |= conv(f"{block}.3.conv_du.2", f // reduction, f, 1)
        shapes |= conv(f"body.{i}.body.{blocks}", f, f)
    shapes |= conv(f"body.{groups}", f, f)
    for step in {2: (0,), 3: (0,), 4: (0, 2), 8: (0, 2, 4)}[scale]:
        shapes |= conv(f"tail.0.{step}", f, (9 if scale == 3 else 4) * f)
    return shapes | conv("tail.1", f, 3) | conv("add_mean", 3, 3, 1)


def meta_sr(
    blocks: int = 16, layers: int = 8, f: int = 64, g: int = 64, hidden: int = 256
) -> Shapes:
    """Names and shapes of Meta-SR's model_1000.pt, at full size unless told."""
    shapes = conv("sub_mean", 3, 3, 1) | conv("SFENet1", 3, f) | conv("SFENet2", f, f)
    for i in range(blocks):
        for k in range(layers):
            shapes |= conv(f"RDBs.{i}.convs.{k}.conv.0", f + k * g, g)
        shapes |= conv(f"RDBs.{i}.LFF", f + layers * g, f, 1)
    shapes |= conv("GFF.0", blocks * f, f, 1) | conv("GFF.1", f, f)
    for layer, inputs, outputs in ((0, 3, hidden), (2, hidden, 27 * f)):
        shapes[f"P2W.meta_block.{layer}.weight"] = (outputs, inputs)
        shapes[f"P2W.meta_block.{layer}.bias"] = (outputs,)
    return shapes | conv("add_mean", 3, 3, 1)


def filled(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Small random numbers in these shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(shape, generator=generator) * 0.05 for n, shape in shapes.items()}
