"""Image super-resolution's training: learning, resuming, what it starts from."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fsr_fer.common.random_streams import stream
from fsr_fer.data.super_resolution_pairs import Pairs, Patches
from fsr_fer.models.image_tensors import as_values
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from fsr_fer.models.weights import save_network
from fsr_fer.training.fit import Run
from fsr_fer.training.optimizer import TensorFlowAdam
from fsr_fer.training.settings.sr import SuperResolutionSettings
from fsr_fer.training.sr import (
    META_SR_FACTORS,
    mean_psnr,
    network_to_retrain,
    new_network,
    train_sr,
)
from tests.data.test_natural import pictures
from tests.training.recording import check_that_it_resumes, recorded

CPU = torch.device("cpu")


settings = partial(
    SuperResolutionSettings,
    iterations=6,
    batch_size=4,
    learning_rate=0.01,
    learning_rate_halving=4,
    validation_every=2,
    validation_pictures=6,
)


def test_meta_sr_sees_one_factor_a_batch_and_all_of_them() -> None:
    patches = Patches(pictures(), META_SR_FACTORS, 10, seed=1)
    sizes = [patches.draw(stream(n), 1).full.shape[1] for n in range(250)]
    assert set(sizes) == {int(10 * tenths / 10) for tenths in range(11, 41)}


def test_psnr_by_hand() -> None:
    class Same(torch.nn.Module):
        def forward(self, small: Tensor, full: int) -> Tensor:
            return small + 5.0

    picture = torch.full((2, 4, 4, 3), 100, dtype=torch.uint8)
    value = mean_psnr(Same(), [Pairs(picture, picture)], CPU)
    assert value == pytest.approx(20 * math.log10(255 / 5))


def test_an_interrupted_run_ends_with_the_same_weights_and_curves(tmp_path: Path) -> None:
    def train(run: Run) -> nn.Module:
        torch.manual_seed(2)
        network = MetaSr(MetaSrSettings(filters=4, growth=4, blocks=1, layers=1, hidden=4))
        return train_sr(network, Patches(pictures(), META_SR_FACTORS, 8, seed=1), settings(), run)

    check_that_it_resumes(train, tmp_path, stop_after=2)


def test_the_loss_is_the_mean_absolute_error_and_the_rate_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = []
    original = TensorFlowAdam.step

    def watched(self: TensorFlowAdam) -> None:
        rates.append(self.learning_rate)
        original(self)

    monkeypatch.setattr(TensorFlowAdam, "step", watched)
    network = new_network("rcan_x2", RcanSettings(groups=1, blocks=1, filters=8, reduction=4), 1)
    source = Patches(pictures(), (2,), 8, seed=1)
    pairs = source.draw(stream(7, "test", 0), 4)
    with torch.no_grad():
        restored = network(as_values(pairs.small), 16)
    error = np.abs(restored.numpy() - as_values(pairs.full).numpy()).mean()
    every = settings(validation_every=1)
    _, records = recorded(lambda run: train_sr(network, source, every, run))
    assert records[0][1]["train/l1"] == pytest.approx(float(error), rel=1e-5)
    assert rates == [0.01] * 4 + [0.005] * 2


def test_meta_sr_is_trained_again_from_where_it_was(tmp_path: Path) -> None:
    """Its weights and its own size; the mean colours still do not learn."""
    path = tmp_path / "meta_sr.safetensors"
    trained = MetaSr(MetaSrSettings(filters=6, growth=4, blocks=1, layers=1, hidden=5))
    save_network(path, trained)
    start = network_to_retrain(path)
    assert start.settings == trained.settings
    for name, tensor in trained.state_dict().items():
        assert torch.equal(start.state_dict()[name], tensor), name
    learning = {name for name, p in start.named_parameters() if p.requires_grad}
    mean_colours = {f"{s}_mean.{of}" for s in ("sub", "add") for of in ("weight", "bias")}
    assert learning == set(trained.state_dict()) - mean_colours


def test_a_new_network_is_of_the_kind_of_its_settings_and_of_its_seed() -> None:
    settings = MetaSrSettings(filters=4, growth=2, blocks=1, layers=1, hidden=4)
    first, again, other = (
        new_network("meta_sr", settings, seed).state_dict()["GFF.0.bias"] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    rcan = new_network("rcan_x3", RcanSettings(groups=1, blocks=1, filters=4, reduction=2), 1)
    assert (type(rcan), rcan.scale) == (Rcan, 3)
