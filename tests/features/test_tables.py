"""Folders of features: what is read back, and what is never read as whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.errors import UserError
from fsr_fer.features.packing import STORED, encode
from fsr_fer.features.pairs import FeaturePairs, as_maps
from fsr_fer.features.tables import (
    Layout,
    MemoryTable,
    StoredTable,
    Subset,
    close_folder,
    in_memory,
    is_whole,
    open_table,
)

CPU = torch.device("cpu")
VALUES = torch.randn(11, 6, generator=torch.Generator().manual_seed(3))


def layout(dtype: str = "float32") -> Layout:
    return Layout(faces=11, dim=3, dtype=dtype, extractor="e" * 64, shard_faces=4)


def write(folder: Path, dtype: str = "float32") -> Path:
    folder.mkdir()
    for shard in layout(dtype).shards:
        rows = layout(dtype).rows(shard)
        np.save(folder / layout().file(shard), encode(VALUES[rows], dtype))
    close_folder(folder, layout(dtype))
    return folder


def test_shards_cover_all_faces_once() -> None:
    assert [layout().rows(shard) for shard in layout().shards] == [
        slice(0, 4),
        slice(4, 8),
        slice(8, 11),
    ]


@pytest.mark.parametrize("dtype", STORED)
def test_any_positions_are_read_in_their_order(tmp_path: Path, dtype: str) -> None:
    table = open_table(write(tmp_path / "x2", dtype), 11, "e" * 64)
    positions = np.array([10, 0, 4, 3, 4, 8])
    expected = VALUES[positions].to(STORED[dtype][0])
    assert torch.equal(table.read(positions), expected)
    assert torch.equal(in_memory(table, CPU, batch=4).read(positions), expected)
    some = Subset(table, np.array([9, 2, 10, 1]))
    assert len(some) == 4
    assert torch.equal(some.read(np.array([2, 0])), VALUES[[10, 9]].to(STORED[dtype][0]))


def test_what_does_not_match_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "x2")
    with pytest.raises(UserError, match="holds 11 faces, the manifest has 12"):
        open_table(folder, 12, "e" * 64)
    with pytest.raises(UserError, match=r"made by another extractor \(eeeeeeeeeeee\.\.\., not f"):
        open_table(folder, 11, "f" * 64)


@pytest.mark.parametrize("keep", [0, 40, 128, 150, -1])
def test_a_cut_off_shard_is_named(tmp_path: Path, keep: int) -> None:
    folder = write(tmp_path / "x2")
    shard = folder / "00001.npy"
    shard.write_bytes(shard.read_bytes()[:keep])
    assert not is_whole(folder, layout(), 1)
    with pytest.raises(UserError, match=r"00001\.npy is damaged or cut off; a shard of 4 faces"):
        StoredTable(folder)
    with pytest.raises(UserError, match=r"00001\.npy is damaged"):
        close_folder(folder, layout())


def test_a_shard_of_other_faces_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "x2")
    (folder / "00002.npy").unlink()
    with pytest.raises(UserError, match=r"00002\.npy is missing"):
        StoredTable(folder)
    (folder / "00000.npy").rename(folder / "00002.npy")
    with pytest.raises(UserError, match=r"00000\.npy is missing"):
        StoredTable(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"faces": 10},
        {"dim": 4},
        {"dtype": "float16"},
        {"shard_faces": 5},
    ],
)
def test_a_manifest_that_the_shards_contradict_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    folder = write(tmp_path / "x2")
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match="x2"):
        StoredTable(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"faces": 11}', '{"surprise": 1}'])
def test_a_broken_manifest_is_named(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path / "x2")
    (folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json is no manifest of features"):
        StoredTable(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"x2 is not whole: it has no manifest\.json"):
        StoredTable(folder)


@pytest.mark.parametrize("dtype", STORED)
def test_batches_mix_scales_per_face(dtype: str) -> None:
    def table(value: int) -> MemoryTable:
        column = torch.arange(4, dtype=torch.float32)[:, None] / 8
        return MemoryTable((torch.full((4, 3), value) + column).to(STORED[dtype][0]), 2)

    pairs = FeaturePairs(table(1), {2: table(2), 8: table(8)}, np.array([0, 1, 2, 0]))
    packed, labels = pairs.read(np.array([3, 1, 2]), np.array([8, 2, 8]))
    assert packed.dtype == STORED[dtype][0]
    lr, hr, labels = as_maps(packed, labels, CPU)
    assert lr.shape == hr.shape == (3, 1, 2, 2)
    assert lr.dtype == torch.float32
    assert lr[:, 0, 0, 1].tolist() == [8.375, 2.125, 8.25]
    assert hr[:, 0, 1, 0].tolist() == [1.375, 1.125, 1.25]
    assert labels.tolist() == [0, 1, 2]
    taken = pairs.take(np.array([2, 3]))
    assert taken.read(np.array([1]), np.array([8]))[0][0, 0, 0].item() == 8.375
    assert taken.labels.tolist() == [2, 0]
