"""Stored features of the same faces, read in pairs of small and full size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.data.manifest import Manifest
from fsr_fer.features.pairs import FeaturePairs, open_pairs
from tests.report.conftest import build_manifest

CPU = torch.device("cpu")


def test_batches_mix_scales_per_face() -> None:
    def array(value: int) -> np.ndarray:
        return (np.full((4, 3), value) + np.arange(4)[:, None] / 8).astype(np.float16)

    pairs = FeaturePairs(array(1), {2: array(2), 8: array(8)}, np.arange(4), np.array([0, 1, 2, 0]))
    lr, hr, labels = pairs.read(np.array([3, 1, 2]), np.array([8, 2, 8]), CPU)
    assert lr.shape == hr.shape == (3, 1, 2, 2)
    assert lr.dtype == torch.float32
    assert lr[:, 0, 0, 1].tolist() == [8.375, 2.125, 8.25]
    assert hr[:, 0, 1, 0].tolist() == [1.375, 1.125, 1.25]
    assert labels.tolist() == [0, 1, 2]
    assert len(pairs) == 4
    taken = pairs.take(np.array([2, 3])).take(slice(1, None))
    assert taken.read(np.array([0]), np.array([8]), CPU)[0][0, 0, 0, 0].item() == 8.375
    assert (len(taken), taken.labels.tolist()) == (1, [0])


def test_features_that_are_not_symmetric_are_whole() -> None:
    hr = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    pairs = FeaturePairs(hr, {2: hr + 10}, np.arange(2), np.array([0, 1]))
    small, full, _ = pairs.read(np.array([1, 0]), np.array([2, 2]), CPU)
    assert full[:, 0].tolist() == [[[4, 5], [6, 7]], [[0, 1], [2, 3]]]
    assert small[0, 0].tolist() == [[14, 15], [16, 17]]


def manifest(splits: str) -> Manifest:
    names = {"t": "train", "v": "validation", "x": "test"}
    return build_manifest([names[letter] for letter in splits], ("a", "b", "c"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Features of six faces; those of face n are n, and ten times as much at x2."""
    values = np.repeat(np.arange(6, dtype=np.float32)[:, None], 6, axis=1)
    np.save(tmp_path / "hr.npy", values)
    np.save(tmp_path / "x2.npy", values * 10)
    return tmp_path


def test_train_and_validation_faces_are_told_apart(folder: Path) -> None:
    train, validation = open_pairs(folder, manifest("xtvxttvt"), [2])
    assert (train.labels.tolist(), validation.labels.tolist()) == ([1, 1, 2, 1], [2, 0])
    lr, hr, _ = train.read(np.arange(4), np.full(4, 2), CPU)
    assert lr[:, 0, 0, 0].tolist() == [0.0, 20.0, 30.0, 50.0]
    assert hr[:, 0, 0, 0].tolist() == [0.0, 2.0, 3.0, 5.0]
    lr, hr, _ = validation.read(np.arange(2), np.full(2, 2), CPU)
    assert (lr[:, 0, 0, 0].tolist(), hr[:, 0, 0, 0].tolist()) == ([10.0, 40.0], [1.0, 4.0])


def test_files_of_something_else_are_one_line(folder: Path) -> None:
    with pytest.raises(UserError, match="hr has 6 faces, the manifest 7"):
        open_pairs(folder, manifest("tvtvtvt"), [2])


def test_a_file_that_is_cut_off_is_named(folder: Path) -> None:
    path = folder / "x2.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"x2\.npy is no array, or cut off"):
        open_pairs(folder, manifest("tvtvtv"), [2])
