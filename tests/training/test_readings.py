"""Both readings of the paper, as params.yaml has them: rates, decay, sampling, one step by hand.

Gradients are compared with those of equations 7 to 11 and of the release, written down here once
more and left to autograd as a whole, in float64.
"""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.common.settings import build
from fsr_fer.features.packing import pack
from fsr_fer.features.pairs import FeaturePairs
from fsr_fer.pipeline.profiles import profile_values, read_yaml
from fsr_fer.training.fit import Run
from fsr_fer.training.fsr import Batch, FsrTrainer, draw_batch, train_fsr
from fsr_fer.training.optimizer import TensorFlowAdam, stepped_learning_rate
from fsr_fer.training.pretrain import ExtractorTrainer
from fsr_fer.training.settings.fsr import FsrSettings, LossSettings, ReweightSettings
from fsr_fer.training.settings.pretraining import PretrainSettings
from tests import ROOT, sections
from tests.training.golden import float64
from tests.training.test_fsr import batch, classifier, step, variant
from tests.training.test_fsr import trainer as fsr_trainer

PARAMS = read_yaml(ROOT / "params.yaml")
READINGS = ("paper", "released")
T = TypeVar("T")
CPU, DIM, CLASSES, FACES = torch.device("cpu"), 8, 3, 5


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with float64():
        yield


def settings(kind: type[T], section: str, reading: str) -> T:
    return build(kind, profile_values(PARAMS, reading)[section], section)


pretrain_settings = partial(settings, PretrainSettings, "pretrain")
fsr_settings = partial(settings, FsrSettings, "fsr")
loss_settings = partial(settings, LossSettings, "losses")
reweight_settings = partial(settings, ReweightSettings, "reweight")


# Schedules


@pytest.mark.parametrize(
    ("reading", "of", "first", "factor", "milestones"),
    [
        ("paper", pretrain_settings, 0.1, 0.1, (0, 120, 240, 500, 10**9)),
        ("released", pretrain_settings, 0.1, 0.1, (0, 120, 240, 500, 10**9)),
        ("paper", fsr_settings, 2e-4, 0.5, (0, 20_000, 50_000, 100_000, 200_000, 10**9)),
        ("released", fsr_settings, 2e-5, 0.5, (0, 20_000, 100_000, 200_000, 10**9)),
    ],
)
def test_the_rate_falls_at_every_milestone(
    reading: str, of: Any, first: float, factor: float, milestones: tuple[int, ...]
) -> None:
    rate = partial(stepped_learning_rate, of(reading))
    for reached, (start, end) in enumerate(itertools.pairwise(milestones)):
        expected = pytest.approx(first * factor**reached, rel=1e-12)
        assert rate(start) == rate(end - 1) == expected


def test_the_l2_phase_decays_smoothly_and_the_schedule_starts_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[float] = []
    original = TensorFlowAdam.step

    def watched(self: TensorFlowAdam) -> None:
        taken.append(self.learning_rate)
        original(self)

    monkeypatch.setattr(TensorFlowAdam, "step", watched)
    torch.set_default_dtype(torch.float32)
    settings = sections.fsr(
        l2_iterations=3,
        l2_learning_rate=0.04,
        l2_decay_iterations=2,
        iterations=4,
        learning_rate=0.02,
        learning_rate_milestones=(2,),
        discriminator_steps=2,
    )
    faces = told_apart(12)
    train_fsr(faces, faces, classifier(), settings, variant(), Run("fsr", 1, CPU))
    warm_up = [0.04 * 0.5 ** (i / 2) for i in range(3)]  # G alone
    assert taken == pytest.approx(warm_up + [0.02] * 6 + [0.01] * 6)  # D, D, G per iteration


@pytest.mark.parametrize("reading", READINGS)
def test_constants(reading: str) -> None:
    loss, weights, fsr = loss_settings(reading), reweight_settings(reading), fsr_settings(reading)
    assert (loss.penalty_k, loss.penalty_p, loss.feature_l2_reduction) == (2, 6, "sum")
    assert (weights.sigma, weights.probability_from) == (1.5, "sr")
    assert (fsr.beta1, fsr.batch_size, fsr.discriminator_steps) == (0, 16, 1)
    assert fsr.l2_iterations == (0 if reading == "paper" else 40_000)
    pretrain = pretrain_settings(reading)
    assert (pretrain.weight_decay, pretrain.adam_epsilon, pretrain.epochs) == (0.05, 0.1, 800)
    assert fsr.beta2 == 0.9
    terms = (loss.gan_weight, loss.feature_l2_weight, loss.perceptual_weight)
    choice = (weights.r, weights.detach, weights.discriminator)
    assert terms == ((1, 1, 1) if reading == "paper" else (1, 0.01, 10))
    assert choice == ((1, True, False) if reading == "paper" else (2, False, True))


# What is drawn


def told_apart(faces: int) -> FeaturePairs:
    """Features whose every entry says whose they are: 100 * face + scale, scale 1 at full size."""

    def features(scale: int) -> np.ndarray:
        values = 100.0 * torch.arange(faces, dtype=torch.float32) + scale
        return pack(values[:, None, None].expand(-1, DIM, DIM)).numpy()

    lr = {scale: features(scale) for scale in PARAMS["scales"]}
    return FeaturePairs(features(1), lr, np.arange(faces), np.arange(faces) % CLASSES)


def test_scales_are_uniform_per_face_without_full_size_and_pairs_match() -> None:
    assert PARAMS["scales"] == [2, 3, 4, 5, 6, 7, 8]
    settings = sections.fsr(batch_size=FACES, discriminator_steps=2)
    pairs = told_apart(7)
    drawn = [draw_batch(pairs, settings, 3, iteration, CPU) for iteration in range(7 * 40)]
    # An entry off the diagonal is the value itself.
    lr, hr = (
        torch.stack([maps[:, 0, 0, 1] for maps in of]).round().long()
        for of in ([batch.lr for batch in drawn], [batch.hr for batch in drawn])
    )
    face, scale = lr // 100, lr % 100
    assert torch.equal(hr, 100 * face + 1)
    assert torch.equal(torch.stack([batch.labels for batch in drawn]), face % CLASSES)
    counts = torch.stack([scale[face == one].bincount(minlength=9)[2:] for one in range(7)])
    expected = scale.numel() / 7
    assert ((counts.sum(dim=0) - expected).abs() < 5 * math.sqrt(expected * 6 / 7)).all()
    # (1 / 7) ** 4 of the batches have one scale by chance.
    assert (scale != scale[:, :1]).any(dim=1).double().mean() > 0.99
    # Every face comes once per epoch, each time at a scale drawn anew.
    assert counts.sum(dim=1).tolist() == [scale.numel() / 7] * 7
    assert (counts > 0).all()


def test_the_penaltys_points_are_uniform_one_per_face_and_step_of_the_discriminator() -> None:
    settings = sections.fsr(batch_size=FACES, discriminator_steps=2)
    pairs = told_apart(9)
    drawn = [draw_batch(pairs, settings, 3, i, CPU) for i in range(100)]
    interpolation = torch.stack([batch.interpolation for batch in drawn])
    assert interpolation.shape == (100, 2, FACES)
    assert len(interpolation.unique()) > 0.99 * interpolation.numel()
    assert stats.kstest(interpolation.flatten(), stats.uniform.cdf).pvalue > 1e-3


# One step by hand


def leave_gradients(network: nn.Module) -> None:
    """As if of an earlier step; none of them may reach the next one."""
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)


def trainer(reading: str, weights: ReweightSettings | None) -> FsrTrainer:
    settings = sections.fsr(learning_rate=1e-3)
    subject = fsr_trainer(settings, losses=loss_settings(reading), reweight=weights)
    leave_gradients(subject.generator)
    leave_gradients(subject.discriminator)
    return subject


def assert_gradient(network: nn.Module, loss: Tensor, of: nn.Module) -> None:
    """What ``network`` was updated by is the gradient of ``loss``, made of the network before."""
    expected = torch.autograd.grad(loss, list(of.parameters()), allow_unused=True)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


def probability_of_the_truth(subject: FsrTrainer, features: Tensor, labels: Tensor) -> Tensor:
    _, logits = subject.classifier(features)
    return logits.softmax(dim=1)[torch.arange(FACES), labels]


@pytest.mark.parametrize("reweighted", [False, True])
@pytest.mark.parametrize("reading", READINGS)
def test_the_discriminators_gradient(reading: str, reweighted: bool) -> None:
    """Equation 8, minimised: mean of D(hr) - D(sr) + 2 ||slope||^6; the release weights the two."""
    subject = trainer(reading, reweight_settings(reading) if reweighted else None)
    lr, hr, labels, interpolation = batch(FACES)
    before = copy.deepcopy(subject.discriminator)
    sr = subject.generator(lr).detach()
    share = interpolation[0][:, None, None, None]
    between = ((1 - share) * hr + share * sr).requires_grad_(True)
    (slope,) = torch.autograd.grad(before(between).sum(), between, create_graph=True)
    penalty = 2 * torch.stack([(one**2).sum() ** 3 for one in slope])
    weight = torch.ones(FACES)
    if reweighted and reading == "released":
        weight = ((1.5 - probability_of_the_truth(subject, sr, labels)) ** 2).detach()
    loss = (weight * before(hr)).mean() - (weight * before(sr)).mean() + penalty.mean()
    step(subject, lr, hr, labels, interpolation)
    assert_gradient(subject.discriminator, loss, before)


@pytest.mark.parametrize(
    "choice", [None, {}, {"r": 3.0, "sigma": 2.0}, {"detach": False, "probability_from": "lr"}]
)
@pytest.mark.parametrize("reading", READINGS)
def test_the_generators_gradient(reading: str, choice: dict[str, Any] | None) -> None:
    """Equations 7, 9, 10 and 11: one weight per face on the sum of its terms, then their mean."""
    chosen = None if choice is None else replace(reweight_settings(reading), **choice)
    subject = trainer(reading, chosen)
    lr, hr, labels, interpolation = batch(FACES)
    generator = copy.deepcopy(subject.generator)
    step(subject, lr, hr, labels, interpolation)  # D is then what G was judged by
    sr = generator(lr)
    embedding, _ = subject.classifier(sr)
    with torch.no_grad():
        wanted, _ = subject.classifier(hr)
    gan, l2, perceptual = (1, 1, 1) if reading == "paper" else (1, 0.01, 10)
    terms = (
        gan * subject.discriminator(sr)
        + l2 * ((sr - hr) ** 2).sum(dim=(1, 2, 3))
        + perceptual * ((embedding - wanted) ** 2).sum(dim=1)
    )
    weight = torch.ones(FACES)
    if chosen:
        judged = lr if chosen.probability_from == "lr" else sr
        weight = (chosen.sigma - probability_of_the_truth(subject, judged, labels)) ** chosen.r
        weight = weight.detach() if chosen.detach else weight
    assert_gradient(subject.generator, (weight * terms).mean(), generator)


def test_the_l2_phase_minimises_the_plain_sum_whatever_the_weights() -> None:
    subject = trainer("released", reweight_settings("released"))
    lr, hr, labels, interpolation = batch(FACES)
    generator = copy.deepcopy(subject.generator)
    loss = ((generator(lr) - hr) ** 2).sum(dim=(1, 2, 3)).mean()
    subject.l2_step(Batch(lr, hr, labels, interpolation))
    assert_gradient(subject.generator, loss, generator)


# CovPoolFER's


def test_the_extractors_first_step() -> None:
    """Cross-entropy, 0.01 times the center term, decay as an L2 term; then TensorFlow's Adam."""
    settings = sections.pretrain(weight_decay=0.05, learning_rate=0.1)
    subject = ExtractorTrainer(settings, CLASSES + 1, seed=1, device=CPU)  # one has no face
    generator = torch.Generator().manual_seed(2)
    faces = torch.randn(FACES, 3, 32, 32, generator=generator)
    labels = torch.arange(FACES) % CLASSES
    network = copy.deepcopy(subject.network)
    embedding, logits = network(faces)
    centers = subject.center_loss.centers.normal_(generator=generator).clone()
    loss = -logits.log_softmax(dim=1)[torch.arange(FACES), labels].mean()
    center = ((embedding - centers[labels]) ** 2).sum() / (FACES * 8)
    loss = loss + 0.01 * center
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))
    leave_gradients(subject.network)
    terms = subject.train_step(faces, labels)
    cross_entropy = functional.cross_entropy(logits, labels).item()
    assert terms["train/cross_entropy"].item() == pytest.approx(cross_entropy, rel=1e-6)
    assert terms["train/center"].item() == pytest.approx(center.item(), rel=1e-6)
    for label, center in enumerate(subject.center_loss.centers):
        members = embedding[labels == label].detach()
        mean = members.sum(dim=0) / max(1, len(members))
        torch.testing.assert_close(center - mean, 0.9 ** len(members) * (centers[label] - mean))
    moved = dict(subject.network.named_parameters())
    for name, before in network.named_parameters():
        gradient = gradients[name]
        if name == "extractor.bimap.weight":
            product = before.mT @ gradient
            gradient = gradient - before @ (product + product.mT) / 2
        elif before.dim() > 1:
            gradient = gradient + 0.05 * before
        # Step 1: m = 0.1 g, v = 0.001 g^2, rate 0.1 sqrt(0.001) / 0.1.
        move = math.sqrt(1e-3) * 0.1 * gradient / (math.sqrt(1e-3) * gradient.abs() + 0.1)
        after = before - move
        if name == "extractor.bimap.weight":
            q, r = torch.linalg.qr(after)
            after = q * r.diagonal().sign()
        torch.testing.assert_close(moved[name].detach(), after.detach(), rtol=1e-9, atol=1e-12)
