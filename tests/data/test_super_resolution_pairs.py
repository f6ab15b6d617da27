"""Pairs for image super-resolution: how they are made, and what is held out."""

import numpy as np
import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.common.random_streams import stream
from fsr_fer.data.downsampling import downsample
from fsr_fer.data.super_resolution_pairs import Patches, WholeFaces
from fsr_fer.resize import imresize
from tests import sections
from tests.data.test_natural import pictures
from tests.training.test_pretrain import faces


def test_patches_are_pairs_by_imresize_and_never_of_the_held_out_picture() -> None:
    patches = Patches(pictures(), (2,), 8, seed=1)
    held = {int(n) for p in patches.held_out(stream(1), 9) for n in p.full[..., 0].unique()}
    seen: set[int] = set()
    for number in range(20):
        pairs = patches.draw(stream(number), 5)
        assert pairs.full.shape == (5, 16, 16, 3)
        assert np.array_equal(pairs.small, imresize(pairs.full.numpy(), output_shape=(8, 8)))
        seen |= {int(n) for n in pairs.full[..., 0].unique()}
        assert torch.equal(patches.draw(stream(number), 5).full, pairs.full)
    assert [len(pairs.full) for pairs in patches.held_out(stream(1), 9)] == [9]
    assert len(held) == 1
    assert seen == {0, 1, 2} - held


def test_patches_lie_all_eight_ways() -> None:
    patches = Patches(pictures(), (2,), 8, seed=1)
    full = torch.cat([patches.draw(stream(n), 16).full for n in range(20)]).float()
    across, along = full.diff(dim=2)[..., 1], full.diff(dim=1)[..., 1]
    lies_across = (across != 0).flatten(1).any(dim=1)
    upwards = (across.clamp(-9, 9) + along.mT.clamp(-9, 9)).sum(dim=(1, 2)) > 0
    ways = torch.stack([lies_across, upwards], dim=1).unique(dim=0)
    assert len(ways) == 4  # the slope lies along or across, upwards or downwards


def test_pictures_that_are_too_small_are_told() -> None:
    with pytest.raises(UserError, match=r"^1 natural pictures are 90 pixels .* enlarged 3 times$"):
        Patches(pictures((90, 95), (60, 99)), (2, 3), 30, seed=1)


def test_whole_faces_are_made_small_as_the_test_faces_are() -> None:
    source = WholeFaces(faces(20), faces(6), (3, 8), sections.downsample())
    train, sides, mirrored = faces(20).images, set(), []
    for number in range(10):
        pairs = source.draw(stream(number), 3)
        for face in pairs.full.numpy():
            same, other = ((train == f).all(axis=(1, 2, 3)).any() for f in (face, face[:, ::-1]))
            assert same != other
            mirrored.append(other)
        scale = {34: 3, 13: 8}[pairs.small.shape[1]]
        expected = downsample(pairs.full.numpy(), scale, sections.downsample())
        assert np.array_equal(pairs.small, expected)
        sides.add(pairs.small.shape[1])
        assert pairs.full.shape == (3, 100, 100, 3)
    assert sides == {34, 13}
    assert 8 <= sum(mirrored) <= 22  # half of 30
    held = source.held_out(stream(0), 6)
    originals = faces(6).images
    for pairs in held:
        for face in pairs.full.numpy():
            assert any(np.array_equal(face, original) for original in originals)
