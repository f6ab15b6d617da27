"""The GAN step: who learns from what, what stays frozen, what stops it, what resumes it."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fsr_fer.features.packing import pack
from fsr_fer.features.pairs import FeaturePairs
from fsr_fer.models.covpool import CovPoolFER, ExpressionClassifier
from fsr_fer.models.generator import Generator
from fsr_fer.training.fit import Run
from fsr_fer.training.fsr import Batch, FsrTrainer, train_fsr
from fsr_fer.training.settings.fsr import FsrSettings, FsrVariantSettings
from tests import sections
from tests.training.recording import check_that_it_resumes

DIM, CLASSES, CPU = 8, 3, torch.device("cpu")


def classifier() -> ExpressionClassifier:
    torch.manual_seed(5)
    return CovPoolFER(sections.extractor(), CLASSES).classifier


variant = partial(FsrVariantSettings, losses=sections.losses(), reweight=None)


def trainer(settings: FsrSettings | None = None, **changes: Any) -> FsrTrainer:
    """Of the plain generator; ``changes`` are to its losses and re-weighting."""
    return FsrTrainer(settings or sections.fsr(), variant(**changes), classifier(), 1, CPU)


def batch(size: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    lr, hr = torch.randn(2, size, 1, DIM, DIM, generator=generator)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    return lr, hr, labels, torch.rand(1, size, generator=generator)


def step(subject: FsrTrainer, *tensors: Tensor, diagnose: bool = False) -> dict[str, float]:
    terms = subject.train_step(Batch(*tensors), diagnose=diagnose)
    return {name: float(value) for name, value in terms.items()}


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}


def test_bfloat16_is_the_same_step_more_coarsely_and_keeps_weights_and_losses_in_float32() -> None:
    exact, coarse = (
        trainer(sections.fsr(precision=precision)) for precision in ("float32", "bfloat16")
    )
    expected, terms = step(exact, *batch()), step(coarse, *batch())
    assert terms["g/feature_l2"] != expected["g/feature_l2"]
    assert terms == pytest.approx(expected, rel=0.05, abs=0.05)
    for part in coarse.state.values():
        tensors = part.state_dict().items()
        assert all(t.dtype == torch.float32 for name, t in tensors if name != "steps")


@pytest.mark.parametrize(
    ("loss", "missing"),
    [
        ({"gan_weight": 0.0}, {"g/gan", "d/real", "d/penalty"}),
        ({"perceptual_weight": 0.0}, {"g/perceptual"}),
        ({"feature_l2_weight": 0.0}, {"g/feature_l2"}),
    ],
)
def test_terms_of_weight_zero_are_left_out(loss: dict[str, float], missing: set[str]) -> None:
    subject = trainer(losses=sections.losses(**loss))
    before = state(subject.discriminator)
    assert not missing & set(step(subject, *batch()))
    if "gan_weight" in loss:
        assert changed(subject.discriminator, before) == set()


@pytest.mark.parametrize(("where", "term"), [(0, "g/"), (1, "d/")])
def test_a_non_finite_value_stops_before_the_update_and_is_named(where: int, term: str) -> None:
    subject = trainer(losses=sections.losses(gan_weight=float(where)))
    values = list(batch())
    values[where][0, 0, 0, 0] = math.nan
    before = state(subject.generator), state(subject.discriminator)
    with pytest.raises(FloatingPointError, match=rf"^{term}.* = nan.*; nothing was updated by it$"):
        step(subject, *values)
    assert changed(subject.generator, before[0]) == set()
    assert changed(subject.discriminator, before[1]) == set()


def pairs(count: int) -> FeaturePairs:
    generator = torch.Generator().manual_seed(count)

    def features(noise: float) -> np.ndarray:
        values = torch.randn(count, DIM, DIM, generator=generator) * noise + base
        return pack((values + values.mT) / 2).numpy()

    base = torch.randn(count, DIM, DIM, generator=generator)
    labels = torch.randint(CLASSES, (count,), generator=generator).numpy()
    return FeaturePairs(
        features(0.0), {2: features(0.3), 8: features(1.0)}, np.arange(count), labels
    )


def training(**changes: Any) -> Callable[[Run], Generator]:
    parts = classifier(), sections.fsr(**changes), variant(reweight=sections.reweight())
    return lambda run: train_fsr(pairs(12), pairs(9), *parts, run)


def test_an_interrupted_run_ends_with_the_same_weights_and_curves(tmp_path: Path) -> None:
    check_that_it_resumes(training(l2_iterations=2), tmp_path, stop_after=2)
