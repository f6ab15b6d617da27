"""The engine's step and the straightforward one: the same mathematics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.training.fsr import FsrTrainer
from tests import sections
from tests.training.eager import EagerTrainer

DIM, CLASSES = 8, 3


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("reweighted", [False, True])
def test_both_reach_the_same_weights(double: None, reweighted: bool) -> None:
    torch.manual_seed(5)
    common: dict[str, Any] = {"feature_dim": DIM, "seed": 1, "device": torch.device("cpu")}
    parts = (
        sections.fsr(learning_rate=1e-2),
        sections.losses(perceptual_weight=3.0),
        sections.reweight() if reweighted else None,
        CovPoolFER(sections.extractor(), CLASSES).eval().classifier,
    )
    engine, eager = FsrTrainer(*parts, **common), EagerTrainer(*parts, **common)
    generator = torch.Generator().manual_seed(0)
    for step in range(20):
        lr, hr = torch.randn(2, 4, 1, DIM, DIM, generator=generator)
        labels = torch.randint(CLASSES, (4,), generator=generator)
        mixes = torch.rand(1, 4, generator=generator)
        terms = engine.step(lr, hr, labels, mixes, iteration=step)
        assert eager.step(lr, hr, labels, mixes[0], 1e-2) == pytest.approx(terms, rel=1e-6)
    for ours, theirs in ((engine.generator, eager.generator), (engine.discriminator, None)):
        theirs = theirs or eager.discriminator
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-6, atol=1e-8)
