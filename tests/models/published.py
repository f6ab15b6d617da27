"""State dicts with the published files' lists of keys, made without our networks."""

from collections.abc import Iterator

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def conv(name: str, inputs: int, outputs: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def convolutions_of_rcan(
    scale: int, groups: int, blocks: int, f: int, reduction: int
) -> Iterator[tuple[str, str, int, int, int]]:
    """From first to last: the authors' name, BasicSR's, inputs, outputs and kernel."""
    yield "head.0", "conv_first", 3, f, 3
    for i in range(groups):
        for j in range(blocks):
            ours, theirs = f"body.{i}.body.{j}.body", f"body.{i}.residual_group.{j}.rcab"
            yield f"{ours}.0", f"{theirs}.0", f, f, 3
            yield f"{ours}.2", f"{theirs}.2", f, f, 3
            yield f"{ours}.3.conv_du.0", f"{theirs}.3.attention.1", f, f // reduction, 1
            yield f"{ours}.3.conv_du.2", f"{theirs}.3.attention.3", f // reduction, f, 1
        yield f"body.{i}.body.{blocks}", f"body.{i}.conv", f, f, 3
    yield f"body.{groups}", "conv_after_body", f, f, 3
    for step in {2: (0,), 3: (0,), 4: (0, 2), 8: (0, 2, 4)}[scale]:
        yield f"tail.0.{step}", f"upsample.{step}", f, (9 if scale == 3 else 4) * f, 3
    yield "tail.1", "conv_last", f, 3, 3


def rcan(
    scale: int, groups: int = 10, blocks: int = 20, f: int = 64, reduction: int = 16
) -> Shapes:
    """Names and shapes of RCAN_BIX<scale>.pt, at full size unless told."""
    shapes = conv("sub_mean", 3, 3, 1)
    for name, _, *sizes in convolutions_of_rcan(scale, groups, blocks, f, reduction):
        shapes |= conv(name, *sizes)
    return shapes | conv("add_mean", 3, 3, 1)


def rcan_of_basicsr(scale: int, groups: int, blocks: int, f: int, reduction: int) -> Shapes:
    """The same in BasicSR's names, in the order of ``rcan``; no mean shifts."""
    shapes: Shapes = {}
    for _, name, *sizes in convolutions_of_rcan(scale, groups, blocks, f, reduction):
        shapes |= conv(name, *sizes)
    return shapes


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
