"""Symmetric matrices as their upper triangles."""

import math

import torch
from torch import Tensor


def triangle_size(dim: int) -> int:
    """Numbers in the upper triangle of a [dim, dim] matrix, its diagonal included."""
    return dim * (dim + 1) // 2


def pack(matrices: Tensor) -> Tensor:
    """Upper triangles of symmetric matrices, row by row: [B, d, d] -> [B, d * (d + 1) / 2]."""
    dim = matrices.shape[1]
    rows, columns = torch.triu_indices(dim, dim, device=matrices.device)
    return matrices.flatten(1).index_select(1, rows * dim + columns)


def unpack(triangles: Tensor) -> Tensor:
    """Symmetric matrices from their upper triangles, [B, d * (d + 1) / 2] -> [B, d, d]."""
    dim = math.isqrt(2 * triangles.shape[1])  # as d^2 < d (d + 1) < (d + 1)^2
    rows, columns = torch.triu_indices(dim, dim, device=triangles.device)
    places = rows.new_empty(dim, dim)  # of the matrix' entries in the triangle
    places[rows, columns] = places[columns, rows] = torch.arange(len(rows), device=rows.device)
    return triangles.index_select(1, places.flatten()).view(-1, dim, dim)
