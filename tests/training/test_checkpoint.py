"""Checkpoints: round trip, damage, curves, and batches that do not depend on the past."""

import sys
from pathlib import Path

import pytest
import torch

from fsr_fer.common.errors import UserError
from fsr_fer.common.random_streams import endless_batch, epoch_order
from fsr_fer.pipeline.runs import live_curves
from fsr_fer.training.checkpoint import Checkpoint


def test_round_trip_also_after_a_save_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "key")
    assert checkpoint.load() is None
    tensors = {"a.b": torch.randn(3, 2, dtype=torch.float64), "steps": torch.tensor(7)}
    checkpoint.save(tensors, {"iterations": 5, "history": [[1, {"x": 0.1}]]})

    def broken(_: object, path: Path, __: object) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("fsr_fer.training.checkpoint.write_tensors", broken)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"a": torch.zeros(2)}, {"iterations": 6})
    loaded, progress = checkpoint.load()
    assert progress == {"iterations": 5, "history": [[1, {"x": 0.1}]]}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    path = tmp_path / "key/state.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"state\.safetensors is damaged"):
        checkpoint.load()


def test_batches_cover_each_epoch_once_and_cross_its_end() -> None:
    seen = torch.cat([endless_batch(10, 3, "test", number, 4) for number in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    epoch_order.cache_clear()
    assert torch.equal(endless_batch(10, 3, "test", 2, 4), seen[8:12])


def test_curves_are_the_same_files_with_and_without_dvclive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without DVC has no dvclive; the stage's plots are declared all the same."""
    values = [
        {"g/gan": 0.1234567890123, "validation/x2": 50.0},
        {"g/gan": 1e-7, "validation/x2": 1 / 3},
    ]

    def written(folder: Path) -> dict[str, bytes]:
        with live_curves(folder) as record:
            for step, terms in enumerate(values, start=1):
                record(step, terms)
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.tsv")}

    with_dvclive = written(tmp_path / "with")
    monkeypatch.setitem(sys.modules, "dvclive", None)
    assert written(tmp_path / "without") == with_dvclive
    assert set(with_dvclive) == {f"plots/metrics/{name}.tsv" for name in values[0]}
