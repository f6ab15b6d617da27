"""Symmetric matrices as their upper triangles."""

import functools
import math

import torch
from torch import Tensor


def triangle_size(dim: int) -> int:
    """Numbers in the upper triangle of a [dim, dim] matrix, its diagonal included."""
    return dim * (dim + 1) // 2


def pack(matrices: Tensor) -> Tensor:
    """Upper triangles of symmetric matrices, row by row: [B, d, d] -> [B, d * (d + 1) / 2]."""
    flat, _ = _positions(matrices.shape[1], matrices.device)
    return matrices.flatten(1).index_select(1, flat)


def unpack(triangles: Tensor) -> Tensor:
    """Symmetric matrices from their upper triangles, [B, d * (d + 1) / 2] -> [B, d, d]."""
    dim = math.isqrt(2 * triangles.shape[1])  # as d^2 < d (d + 1) < (d + 1)^2
    _, square = _positions(dim, triangles.device)
    return triangles.index_select(1, square).view(-1, dim, dim)


@functools.lru_cache(maxsize=8)
def _positions(dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each number of the triangle lies in the flat matrix, and the other way round."""
    rows, columns = torch.triu_indices(dim, dim)
    square = torch.empty(dim, dim, dtype=torch.int64)
    square[rows, columns] = torch.arange(len(rows))
    square[columns, rows] = torch.arange(len(rows))
    return (rows * dim + columns).to(device), square.flatten().to(device)
