"""Symmetric matrices as their upper triangles."""

import pytest
import torch

from fsr_fer.features.packing import dim_of, pack, triangle_size, unpack


def test_triangles_round_trip() -> None:
    matrices = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(5))
    matrices = matrices + matrices.mT
    packed = pack(matrices)
    assert packed.shape == (3, 15)
    assert packed[0, :5].tolist() == matrices[0, 0].tolist()
    assert packed[0, 5:9].tolist() == matrices[0, 1, 1:].tolist()
    assert torch.equal(unpack(packed), matrices)


def test_a_size_that_is_no_triangle_is_a_bug() -> None:
    assert [dim_of(triangle_size(dim)) for dim in (1, 2, 16, 128)] == [1, 2, 16, 128]
    with pytest.raises(ValueError, match="no triangle"):
        unpack(torch.zeros(1, 16))
