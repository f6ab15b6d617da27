"""Triangles and the bytes they are stored in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fsr_fer.features.packing import STORED, decode, encode, pack, triangle_size, unpack


def symmetric(count: int, dim: int) -> torch.Tensor:
    matrices = torch.randn(count, dim, dim, generator=torch.Generator().manual_seed(dim))
    return matrices + matrices.mT


def test_triangles_round_trip() -> None:
    matrices = symmetric(3, 5)
    packed = pack(matrices)
    assert packed.shape == (3, 15)
    assert packed[0, :5].tolist() == matrices[0, 0].tolist()
    assert packed[0, 5:9].tolist() == matrices[0, 1, 1:].tolist()
    assert torch.equal(unpack(packed), matrices)


def test_a_size_that_is_no_triangle_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no triangle"):
        unpack(torch.zeros(1, 16))


@pytest.mark.parametrize("dtype", STORED)
def test_stored_numbers_come_back_rounded_to_their_dtype(dtype: str) -> None:
    packed = pack(symmetric(4, 6) * 5)
    stored = encode(packed, dtype)
    assert stored.dtype == np.dtype(STORED[dtype][1])
    assert torch.equal(decode(stored, dtype), packed.to(STORED[dtype][0]))
    assert stored.nbytes == 4 * triangle_size(6) * (4 if dtype == "float32" else 2)


def test_bfloat16_bits_are_the_upper_half_of_float32() -> None:
    # 1.0 is 0x3f800000 and -2.5 is 0xc0200000; both need no rounding.
    stored = encode(torch.tensor([[1.0, -2.5]]), "bfloat16")
    assert stored.tolist() == [[0x3F80, 0xC020]]
