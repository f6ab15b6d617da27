"""Features written in shards: by one process or several, killed or not, the same bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.downsampling import downsample, restore
from fsr_fer.errors import UserError
from fsr_fer.evaluation import classify_features, predict
from fsr_fer.features.extraction import Faces, publish, write_shards
from fsr_fer.features.packing import STORED, pack, unpack
from fsr_fer.features.tables import Layout, MemoryTable, open_table
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize
from fsr_fer.settings import DownsampleSettings
from tests import sections

CPU = torch.device("cpu")
SMALL = DownsampleSettings(form="scale", boundary="symmetric", restore="resize")


@pytest.fixture(scope="module")
def network() -> CovPoolFER:
    torch.manual_seed(0)
    return CovPoolFER(sections.extractor(), 3).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (70, 20, 20, 3)).astype(np.uint8)
    return imresize(coarse, output_shape=(100, 100))


def layout(faces: int, dtype: str = "float32") -> Layout:
    dim = sections.extractor().bimap_dim
    return Layout(faces=faces, dim=dim, dtype=dtype, extractor="e", shard_faces=40)


def write(network: CovPoolFER, faces: Faces, folder: Path, dtype: str = "float32") -> Path:
    plan = layout(len(faces.rows), dtype)
    write_shards(network.extractor, faces, folder / "work", plan, device=CPU)
    publish(folder / "work", plan, folder / "done")
    return folder / "done"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("dtype", STORED)
def test_written_features_are_the_extractors(
    tmp_path: Path, network: CovPoolFER, images: np.ndarray, dtype: str
) -> None:
    rows = np.arange(69, 1, -1)
    folder = write(network, Faces(images, rows), tmp_path, dtype)
    table = open_table(folder, 68, "e")
    expected = network.extractor(standardise(torch.from_numpy(images[rows[36:44]])))
    tolerance = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 6e-2}[dtype]
    read = unpack(table.read(np.arange(36, 44)).to(torch.float32))
    torch.testing.assert_close(read, expected, rtol=0, atol=tolerance)


def test_features_of_small_faces_are_those_of_the_restored_ones(
    tmp_path: Path, network: CovPoolFER, images: np.ndarray
) -> None:
    small = downsample(images, 6, SMALL)
    rows = np.arange(70)
    direct = write(network, Faces(small, rows, (6, SMALL)), tmp_path / "a")
    restored = write(network, Faces(restore(small, 6, SMALL), rows), tmp_path / "b")
    assert content(direct) == content(restored)


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_write_the_same_bytes_as_one(
    tmp_path: Path, network: CovPoolFER, images: np.ndarray, world: int
) -> None:
    faces, plan = Faces(images, np.arange(70)), layout(70)
    alone = write(network, faces, tmp_path / "alone")
    work = tmp_path / "work"
    for rank in reversed(range(world)):
        write_shards(network.extractor, faces, work, plan, device=CPU, ranks=Ranks(rank, world))
    publish(work, plan, tmp_path / "together")
    assert content(tmp_path / "together") == content(alone)


def test_a_set_that_lacks_a_process_is_not_closed(
    tmp_path: Path, network: CovPoolFER, images: np.ndarray
) -> None:
    faces, plan = Faces(images, np.arange(70)), layout(70)
    write_shards(network.extractor, faces, tmp_path, plan, device=CPU, ranks=Ranks(0, 2))
    with pytest.raises(UserError, match=r"00001\.npy is missing"):
        publish(tmp_path, plan, tmp_path / "done")
    assert not (tmp_path / "done").exists()
    assert not (tmp_path / "manifest.json").exists()


def test_a_stopped_run_goes_on_after_the_last_whole_shard(
    tmp_path: Path, network: CovPoolFER, images: np.ndarray
) -> None:
    plan, rows = layout(70), np.arange(70)
    whole = write(network, Faces(images, rows), tmp_path / "whole")

    class Stopping(Faces):
        def read(self, start: int, stop: int) -> np.ndarray:
            if start >= 40:
                raise KeyboardInterrupt
            return super().read(start, stop)

    work = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        write_shards(network.extractor, Stopping(images, rows), work, plan, device=CPU)
    assert [path.name for path in work.iterdir()] == ["00000.npy"]
    written = os.stat(work / "00000.npy").st_mtime_ns
    reads: list[int] = []

    class Counting(Faces):
        def read(self, start: int, stop: int) -> np.ndarray:
            reads.append(start)
            return super().read(start, stop)

    write_shards(network.extractor, Counting(images, rows), work, plan, device=CPU)
    publish(work, plan, tmp_path / "again")
    assert min(reads) == 40
    assert os.stat(work / "00000.npy").st_mtime_ns == written
    assert content(tmp_path / "again") == content(whole)


def test_a_damaged_shard_is_written_again(
    tmp_path: Path, network: CovPoolFER, images: np.ndarray
) -> None:
    plan, faces = layout(70), Faces(images, np.arange(70))
    work = tmp_path / "work"
    write_shards(network.extractor, faces, work, plan, device=CPU)
    good = content(work)
    (work / "00001.npy").write_bytes(good["00001.npy"][:200])
    write_shards(network.extractor, faces, work, plan, device=CPU, ranks=ALONE)
    assert content(work) == good


def test_memory_does_not_grow_with_the_faces(network: CovPoolFER, tmp_path: Path) -> None:
    """No more batches are ever read ahead than the stream may hold."""
    given: list[int] = []

    class Watched(Faces):
        def read(self, start: int, stop: int) -> np.ndarray:
            given.append(start)
            assert len(given) - len(taken) <= 6
            return np.zeros((stop - start, 100, 100, 3), np.uint8)

    taken: list[int] = []
    forward = network.extractor.forward
    network.extractor.forward = lambda faces: (taken.append(len(faces)), forward(faces))[1]  # type: ignore[method-assign]
    try:
        faces = Watched(np.empty((0,)), np.arange(640))
        write_shards(network.extractor, faces, tmp_path, layout(640), device=CPU)
    finally:
        network.extractor.forward = forward  # type: ignore[method-assign]
    assert sum(taken) == 640


def test_only_small_faces_go_through_the_generator(network: CovPoolFER) -> None:
    generator = torch.Generator().manual_seed(1)
    matrices = torch.randn(2, 9, 8, 8, generator=generator)
    hr, lr = (MemoryTable(pack(m + m.mT), 8) for m in matrices)

    class Zero(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(features)

    plain = predict(hr, {4: lr}, network.classifier, None, CPU)
    zeroed = predict(hr, {4: lr}, network.classifier, Zero(), CPU)
    np.testing.assert_array_equal(plain["hr"].classes, zeroed["hr"].classes)
    assert len(set(zeroed["x4"].classes)) == 1
    _, logits = network.classifier(unpack(lr.values))
    confidence, classes = logits.softmax(dim=1).max(dim=1)
    np.testing.assert_array_equal(plain["x4"].classes, classes.numpy())
    np.testing.assert_allclose(plain["x4"].confidence, confidence.numpy(), atol=1e-6)
    nobody = MemoryTable(lr.values[:0], 8)
    assert classify_features(nobody, network.classifier, None, CPU).shape == (0,)
