"""Image super-resolution's training: what is drawn, what is held out, learning, resuming."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from fsr_fer.data.natural import NaturalPictures, open_pictures, pack_pictures
from fsr_fer.data.super_resolution_pairs import Pairs, Patches, WholeFaces
from fsr_fer.downsampling import downsample
from fsr_fer.errors import UserError
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import save_network
from fsr_fer.randomness import stream
from fsr_fer.resize import imresize
from fsr_fer.settings import MetaSrSettings, RcanSettings, SrSettings, SuperResolutionSettings
from fsr_fer.training.fit import Run
from fsr_fer.training.sr import (
    META_SR_FACTORS,
    mean_psnr,
    network_to_retrain,
    new_network,
    train_sr,
)
from tests import sections
from tests.training.recording import check_that_it_resumes
from tests.training.test_pretrain import faces

CPU = torch.device("cpu")


def pictures(
    sizes: tuple[tuple[int, int], ...] = ((60, 70), (64, 64), (90, 61)),
) -> NaturalPictures:
    """Smooth pictures whose red channel is their number."""
    parts = []
    for number, (height, width) in enumerate(sizes):
        y, x = np.mgrid[0:height, 0:width]
        whole = np.stack([np.full_like(x, number), x * 3 % 256, 128 + 90 * np.sin(y / 4)], axis=-1)
        parts.append(whole.astype(np.uint8).reshape(-1, 3))
    return NaturalPictures(np.concatenate(parts), tuple("abc"[: len(sizes)]), sizes)


def settings(**changes: int) -> SuperResolutionSettings:
    values = {
        "iterations": 6, "batch_size": 4, "learning_rate": 0.01, "learning_rate_halving": 4,
        "beta1": 0.9, "beta2": 0.999, "adam_epsilon": 1e-8, "validation_every": 2,
        "validation_pictures": 6,
    }  # fmt: skip
    return SuperResolutionSettings(**values | changes)


def sr_settings(retrained_from: Literal["meta_sr", "nothing"] = "meta_sr") -> SrSettings:
    return SrSettings(
        weights="trained",
        retrained_from=retrained_from,
        rcan=RcanSettings(groups=1, blocks=1, filters=4, reduction=2),
        meta_sr=MetaSrSettings(filters=4, growth=2, blocks=1, layers=1, hidden=4),
        rcan_training=settings(),
        meta_sr_training=settings(),
        meta_sr_retrained_training=settings(),
    )


def test_crops_come_from_where_they_are_asked() -> None:
    crop = pictures().crop(1, 10, 20, 5)
    assert (crop[..., 0] == 1).all()
    assert crop[0, :, 1].tolist() == [60, 63, 66, 69, 72]
    with pytest.raises(ValueError, match="not within 64x64"):
        pictures().crop(1, 60, 0, 5)


def test_patches_are_pairs_by_imresize_and_never_of_the_held_out_picture() -> None:
    patches = Patches(pictures(), (2,), 8, seed=1)
    held = {int(n) for p in patches.held_out(stream(1), 9) for n in p.full[..., 0].unique()}
    seen: set[int] = set()
    for number in range(20):
        pairs = patches.draw(stream(number), 5)
        assert pairs.full.shape == (5, 16, 16, 3)
        assert np.array_equal(pairs.small, imresize(pairs.full.numpy(), output_shape=(8, 8)))
        seen |= {int(n) for n in pairs.full[..., 0].unique()}
    assert len(held) == 1
    assert seen == {0, 1, 2} - held


def test_patches_lie_all_eight_ways() -> None:
    patches = Patches(pictures(), (2,), 8, seed=1)
    full = torch.cat([patches.draw(stream(n), 16).full for n in range(20)]).float()
    across, along = full.diff(dim=2)[..., 1], full.diff(dim=1)[..., 1]
    ways = {
        (
            bool((across[i] != 0).any()),
            bool((across[i].clamp(-9, 9) + along[i].mT.clamp(-9, 9)).sum() > 0),
        )
        for i in range(len(full))
    }
    assert len(ways) == 4  # the slope lies along or across, upwards or downwards


def test_meta_sr_sees_one_factor_a_batch_and_all_of_them() -> None:
    patches = Patches(pictures(), META_SR_FACTORS, 10, seed=1)
    sizes = [patches.draw(stream(n), 2).full.shape[1] for n in range(400)]
    assert set(sizes) == {int(10 * tenths / 10) for tenths in range(11, 41)}


def test_pictures_that_are_too_small_are_told() -> None:
    with pytest.raises(UserError, match=r"^1 natural pictures are 90 pixels .* enlarged 3 times$"):
        Patches(pictures(((90, 95), (60, 60))), (3,), 30, seed=1)


def test_whole_faces_are_made_small_as_the_test_faces_are() -> None:
    source = WholeFaces(faces(20), faces(6), (3, 8), sections.downsample())
    sides = set()
    for number in range(10):
        pairs = source.draw(stream(number), 3)
        scale = {34: 3, 13: 8}[pairs.small.shape[1]]
        expected = downsample(pairs.full.numpy(), scale, sections.downsample())
        assert np.array_equal(pairs.small, expected)
        sides.add(pairs.small.shape[1])
        assert pairs.full.shape == (3, 100, 100, 3)
    assert sides == {34, 13}
    held = source.held_out(stream(0), 6)
    originals = faces(6).images
    for pairs in held:
        for face in pairs.full.numpy():
            assert any(np.array_equal(face, original) for original in originals)


def test_psnr_by_hand() -> None:
    class Same(torch.nn.Module):
        def forward(self, small: Tensor, full: int) -> Tensor:
            return small + 5.0

    picture = torch.full((2, 4, 4, 3), 100, dtype=torch.uint8)
    value = mean_psnr(Same(), [Pairs(picture, picture)], CPU)
    assert value == pytest.approx(20 * math.log10(255 / 5))


def test_an_interrupted_run_ends_with_the_same_weights_and_curves(tmp_path: Path) -> None:
    def train(run: Run) -> MetaSr:
        torch.manual_seed(2)
        network = MetaSr(MetaSrSettings(filters=4, growth=4, blocks=1, layers=1, hidden=4))
        return train_sr(network, Patches(pictures(), META_SR_FACTORS, 8, seed=1), settings(), run)

    check_that_it_resumes(train, tmp_path, stop_after=2)


def test_rcan_learns() -> None:
    torch.manual_seed(2)
    network = Rcan(RcanSettings(groups=1, blocks=1, filters=8, reduction=4), 2)
    source = Patches(pictures(), (2,), 8, seed=1)
    held = source.held_out(stream(0), 6)
    before = mean_psnr(network, held, CPU)
    longer = settings(iterations=60, learning_rate_halving=30)
    trained = train_sr(network, source, longer, Run("sr", 3, CPU))
    assert mean_psnr(trained, held, CPU) > before + 6
    assert not trained.training


def test_packed_pictures_come_back(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    drawn = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    for name, picture in zip(("b.png", "a.png"), drawn, strict=True):
        Image.fromarray(picture).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    pack_pictures(str(folder), tmp_path / "packed")
    opened = open_pictures(tmp_path / "packed")
    assert opened.names == ("a.png", "b.png")
    assert np.array_equal(opened.crop(1, 1, 0, 7), drawn[0, 1:8, :7])
    (folder / "c.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"c\.jpg is not a picture"):
        pack_pictures(str(folder), tmp_path / "packed")
    with pytest.raises(UserError, match="a folder that is there"):
        pack_pictures(str(tmp_path / "nothing"), tmp_path / "packed")


def test_meta_sr_is_trained_again_from_where_it_was(tmp_path: Path) -> None:
    """Its weights and its own size; the mean colours still do not learn."""
    trained = MetaSr(MetaSrSettings(filters=6, growth=4, blocks=1, layers=1, hidden=5))
    save_network(tmp_path / "meta_sr.safetensors", trained)
    start = network_to_retrain(tmp_path / "meta_sr.safetensors", sr_settings(), seed=1)
    assert start.settings == trained.settings
    for name, tensor in trained.state_dict().items():
        assert torch.equal(start.state_dict()[name], tensor), name
    learning = {name for name, p in start.named_parameters() if p.requires_grad}
    assert learning == {name for name, p in trained.named_parameters() if p.requires_grad}


def test_meta_sr_can_be_trained_again_from_nothing(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    from_nothing = sr_settings("nothing")
    start = network_to_retrain(missing, from_nothing, seed=1)
    fresh = new_network("meta_sr_retrained", from_nothing, seed=1)
    assert torch.equal(start.SFENet1.weight, fresh.state_dict()["SFENet1.weight"])
    save_network(missing, Rcan(from_nothing.rcan, 2))
    with pytest.raises(UserError, match="holds no meta_sr"):
        network_to_retrain(missing, sr_settings(), seed=1)
