"""Symmetric matrices as their upper triangles."""

import torch

from fsr_fer.features.packing import pack, triangle_size, unpack


def test_triangles_round_trip() -> None:
    matrices = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(5))
    matrices = matrices + matrices.mT
    packed = pack(matrices)
    assert packed.shape == (3, 15)
    assert packed[0, :5].tolist() == matrices[0, 0].tolist()
    assert packed[0, 5:9].tolist() == matrices[0, 1, 1:].tolist()
    assert torch.equal(unpack(packed), matrices)


def test_the_size_of_a_triangle_gives_the_dimension() -> None:
    assert triangle_size(5) == 15
    for dim in (*range(1, 40), 128, 299):
        assert unpack(torch.empty(1, triangle_size(dim))).shape == (1, dim, dim)
