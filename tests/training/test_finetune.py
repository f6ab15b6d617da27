"""The extractor taught faces of all sizes: sizes, teacher, average, balance, resuming."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.common.settings import SettingsError
from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.evaluation.methods import load_method
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.models.networks import NETWORKS
from fsr_fer.models.weights import save_network
from fsr_fer.resize import imresize
from fsr_fer.training.distillation import Ensemble
from fsr_fer.training.finetune import (
    Degradations,
    FinetuneTrainer,
    cosine_learning_rate,
    degrade,
    draw_degradations,
    draw_sizes,
    finetune,
    initial_network,
    teacher_weights,
    validate,
)
from fsr_fer.training.fit import Run
from fsr_fer.training.settings.distillation import DistillSettings
from tests import sections
from tests.training.recording import check_that_it_resumes, recorded
from tests.training.test_pretrain import faces

CPU = torch.device("cpu")
SCALES = (2, 3, 8)
TAUGHT = sections.teacher(weight=3.0)


def network(seed: int = 5) -> CovPoolFER:
    torch.manual_seed(seed)
    made = CovPoolFER(sections.extractor(), 3)
    for name, buffer in made.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(2.0)
    made.class_names = ("a", "b", "c")
    return made.eval().requires_grad_(False)


def trainer(shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3), **changes: Any) -> FinetuneTrainer:
    log_shares = torch.tensor(shares).log()
    return FinetuneTrainer(sections.finetune(**changes), network(), log_shares, CPU)


def batch(count: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Small faces, labels, full-size faces."""
    images, labels = faces(count).batch(torch.arange(count))
    small = degrade(images.numpy(), torch.full((count,), 8), sections.downsample())
    return standardise(torch.from_numpy(small)), labels, standardise(images)


@torch.no_grad()
def logits_of(subject: FinetuneTrainer, small: Tensor) -> Tensor:
    """What a step begins with, in training mode."""
    _, logits = subject.student(small)
    return logits


def divergence(target: Tensor, logits: Tensor) -> float:
    """Kullback and Leibler's, with weight 3 and temperature 2."""
    predicted = (logits / 2).softmax(dim=1)
    return float(3 * 2**2 * (target * (target / predicted).log()).sum(dim=1).mean())


def test_sizes_are_drawn_with_their_shares() -> None:
    drawn = draw_sizes(sections.sizes(), SCALES, torch.Generator().manual_seed(1), 20000)
    assert (drawn == 0).float().mean() == pytest.approx(0.2, abs=0.01)
    for scale in SCALES:
        assert (drawn == scale).float().mean() == pytest.approx(0.5 / 3, abs=0.01)
    pixels = -drawn[drawn < 0].double()
    assert set(drawn[drawn > 0].tolist()) == set(SCALES)
    assert (pixels.min(), pixels.max()) == (8, 100)
    # Uniform in the logarithm: as many between 8 and 28 as between 28 and 100.
    assert (pixels < math.sqrt(8 * 101)).double().mean() == pytest.approx(0.5, abs=0.02)


def test_faces_are_made_small_as_the_downsample_stage_and_the_test_do_it() -> None:
    images = faces(5).images
    settings = sections.downsample(restore="crop")
    seen = degrade(images, torch.tensor([0, 3, -11, 8, 3]), settings)
    assert np.array_equal(seen[0], images[0])
    for position, scale in ((1, 3), (3, 8), (4, 3)):
        face = images[position : position + 1]
        expected = restore(downsample(face, scale, settings), scale, settings)
        assert np.array_equal(seen[position], expected[0])
    small = imresize(images[2], output_shape=(11, 11))
    assert np.array_equal(seen[2], imresize(small, output_shape=(100, 100)))


@pytest.mark.parametrize("votes", [None, [[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]] * 4])
def test_cross_entropy_of_smoothed_labels_or_votes_with_balanced_classes(votes: Any) -> None:
    """Balance adds the log share to the logits in training alone."""
    shares = (0.7, 0.2, 0.1)
    balanced = trainer(shares, class_balance=0.5, label_smoothing=0.1)
    small, labels, _ = batch()
    targets = None if votes is None else torch.tensor(votes)
    wanted = functional.one_hot(labels, 3) if targets is None else targets
    wanted = 0.9 * wanted + 0.1 / 3
    adjusted = logits_of(balanced, small) + 0.5 * torch.tensor(shares).log()
    expected = -(wanted * adjusted.log_softmax(dim=1)).sum(dim=1).mean()
    values = balanced.train_step(small, labels, targets)
    assert values["train/cross_entropy"].item() == pytest.approx(float(expected), rel=1e-4)


def test_bfloat16_computes_the_convolutions_alone() -> None:
    small, labels, full = batch()
    exact = trainer(teacher=TAUGHT).train_step(small, labels, full=full)
    half = trainer(precision="bfloat16", teacher=TAUGHT)
    values = half.train_step(small, labels, full=full)
    for name, value in values.items():
        assert value.dtype == exact[name].dtype
        assert value.item() == pytest.approx(exact[name].item(), rel=0.1), name
    assert values["train/cross_entropy"] != exact["train/cross_entropy"]
    assert {weight.dtype for weight in half.model.parameters()} == {torch.float32}


def test_the_teacher_is_the_ema_that_reads_the_full_size_face() -> None:
    small, labels, full = batch()
    expected = divergence((network()(full)[1] / 2).softmax(dim=1), logits_of(trainer(), small))
    values = trainer(teacher=TAUGHT).train_step(small, labels, full=full)
    assert values["train/teacher"].item() == pytest.approx(expected, rel=1e-3)
    assert "train/teacher" not in trainer().train_step(small, labels, full=full)


def test_the_teacher_fades_with_the_size_of_the_face() -> None:
    sizes = torch.tensor([0, 2, 8, -13, -50, -60])
    assert teacher_weights(sizes, 50).tolist() == pytest.approx([0, 0, 0.75, 0.74, 0, 0])
    assert teacher_weights(sizes, 0).tolist() == [1] * 6
    small, labels, full = batch(4)
    whole, *halves = (
        float(trainer(teacher=TAUGHT).train_step(small, labels, None, full, w)["train/teacher"])
        for w in torch.tensor([[1.0] * 4, [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    )
    assert whole == pytest.approx(sum(halves), rel=1e-4)
    assert min(halves) > 0


def test_an_ensemble_is_imitated_by_the_mean_of_its_probabilities() -> None:
    small, labels, _ = batch()
    pair = [network(6), network(7)]
    taught = trainer()
    taught.ensemble = Ensemble(
        pair, DistillSettings(teachers=("a", "b"), temperature=2.0, weight=3.0), CPU
    )
    mean = sum((n(small)[1] / 2).softmax(dim=1) for n in pair) / 2
    expected = divergence(mean, logits_of(trainer(), small))
    values = taught.train_step(small, labels)
    assert values["train/ensemble"].item() == pytest.approx(expected, rel=1e-3)
    for teacher, seed in zip(pair, (6, 7), strict=True):
        for name, tensor in network(seed).state_dict().items():
            assert torch.equal(teacher.state_dict()[name], tensor), name

    taught.ensemble.settings = replace(taught.ensemble.settings, weight=1000.0)
    values = [float(taught.train_step(small, labels)["train/ensemble"]) for _ in range(8)]
    assert values[-1] < 0.8 * values[0]


def test_all_weights_learn_and_the_pretrained_network_stays_as_it_was() -> None:
    pretrained, before = network(), network().state_dict()
    student = FinetuneTrainer(sections.finetune(), pretrained, torch.zeros(3), CPU)
    student.train_step(*batch()[:2])
    for name, tensor in pretrained.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    learned = student.student.state_dict()
    assert all(not torch.equal(learned[n], before[n]) for n in before if n.endswith("weight"))


def test_the_average_follows_the_learner_and_stays_orthonormal() -> None:
    averaging = trainer(ema_decay=0.9)
    start = {name: tensor.clone() for name, tensor in averaging.ema.state_dict().items()}
    averaging.train_step(*batch()[:2])
    learned = averaging.student.state_dict()
    for name, tensor in averaging.ema.state_dict().items():
        if "bimap" not in name:
            torch.testing.assert_close(tensor, 0.9 * start[name] + 0.1 * learned[name])
    weight = averaging.ema.extractor.bimap.weight
    torch.testing.assert_close(weight.mT @ weight, torch.eye(8), rtol=0, atol=1e-5)
    assert averaging.model is averaging.ema
    assert trainer(ema_decay=0.0).model.training


def test_muon_moves_the_hidden_weights_and_adam_all_others() -> None:
    before = dict(network().named_parameters())
    steps = {}
    for muon in (0.0, 0.5):
        moved = trainer(muon=muon, learning_rate=0.01)
        moved.train_step(*batch()[:2])
        steps[muon] = {n: w - before[n] for n, w in moved.student.named_parameters()}
    for name, step in steps[0.5].items():
        hidden = "convs" in name or name in (
            "classifier.hidden.weight",
            "classifier.bottleneck.weight",
        )
        assert torch.equal(step, steps[0.0][name]) is not hidden, name
        if hidden:  # entries of about 0.5 times the learning rate
            assert 0.0025 < step.square().mean().sqrt() < 0.0065, name


def test_learning_rate_falls_along_half_a_cosine() -> None:
    rates = [cosine_learning_rate(1.0, 0.2, position, 4) for position in range(5)]
    half = math.sqrt(0.5)
    expected = [1.0, 0.6 + 0.4 * half, 0.6, 0.6 - 0.4 * half, 0.2]
    assert rates == pytest.approx(expected)


def training(**changes: Any) -> Callable[[Run], FaceClassifier]:
    settings = sections.finetune(**{"teacher": TAUGHT, "ema_decay": 0.8} | changes)
    parts = network(), faces(16), faces(6), settings, sections.downsample(), SCALES
    return lambda run: finetune(*parts, run)


def test_an_interrupted_run_ends_with_the_same_weights_and_curves(tmp_path: Path) -> None:
    check_that_it_resumes(training(epochs=2, muon=0.6), tmp_path, stop_after=1)


def test_another_repeat_is_another_training() -> None:
    first, second = (recorded(training(epochs=1, repeat=repeat))[0] for repeat in (0, 1))
    assert not torch.equal(first["classifier.logits.weight"], second["classifier.logits.weight"])


class Plain(FaceClassifier):
    """A network of another class than the extractor's, with torch's own batch normalisation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=4)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(4, classes)

    def logits(self, faces: Tensor, half: bool = False) -> Tensor:
        return self.last(self.norm(self.conv(faces)).relu().mean(dim=(2, 3)))


def test_a_network_of_another_class_is_trained_from_its_initial_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "plain", Plain)
    first, again = (initial_network("plain", network(seed), 7) for seed in (5, 6))
    assert first.class_names == ("a", "b", "c")
    assert torch.equal(first.conv.weight, again.conv.weight)
    other = initial_network("plain", network(), 8)
    assert not torch.equal(first.conv.weight, other.conv.weight)
    changes = {"network": "plain", "muon": 0.6, "epochs": 2}
    check_that_it_resumes(training(**changes), tmp_path, stop_after=1)
    trained = training(**changes)(Run("finetune", 7, CPU))
    assert not torch.equal(first.last.weight, trained.last.weight)
    save_network(tmp_path / "finetune/plain.safetensors", trained)
    method = load_method(MethodSettings(model="finetune/plain", faces="downsample"), tmp_path)
    images, _ = faces(4).batch(torch.arange(4))
    with torch.no_grad():
        assert torch.equal(method.logits(images, small=True), trained.logits(standardise(images)))
    assert method.network.class_names == ("a", "b", "c")


def test_each_step_is_given_a_batch_of_the_train_faces_and_its_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = []

    def watched(self: FinetuneTrainer, *parts: Tensor) -> dict[str, Tensor]:
        assert self.log_shares.exp().tolist() == pytest.approx([0.5, 0.375, 0.125])
        steps.append((self.optimizer.learning_rate, parts))
        return {}

    monkeypatch.setattr(FinetuneTrainer, "train_step", watched)
    images, votes = faces(24).images, np.random.default_rng(1).dirichlet([1.0] * 3, 24)
    train = LabelledFaces(images, np.arange(24), np.repeat([0, 1, 2], [12, 9, 3]), votes)
    settings = sections.finetune(
        epochs=1,
        soft_targets=True,
        learning_rate=0.4,
        final_learning_rate=0.0,
        augment=sections.augment(
            rotation_degrees=0.0, flip=False, zoom=0.0, shift_pixels=0.0, hidden_share=0.0
        ),
        sizes=sections.sizes(full_size_share=0.0, any_size_share=0.0),
        teacher=replace(TAUGHT, fades_at_pixels=50),
    )
    run = Run("finetune", 7, CPU)
    finetune(network(), train, faces(6), settings, sections.downsample(), (8,), run)
    assert [rate for rate, _ in steps] == pytest.approx([0.4, 0.3, 0.1])  # 0.2 (1 + cos(k pi / 3))
    small, labels, targets, full, weights = (
        torch.cat(parts) for parts in zip(*(parts for _, parts in steps), strict=True)
    )
    known = standardise(torch.from_numpy(images))
    order = (full[:, None] - known).abs().flatten(2).amax(dim=2).argmin(dim=1)
    assert sorted(order.tolist()) == list(range(24)) != order.tolist()
    assert torch.equal(full, known[order])
    restored = degrade(images, torch.full((24,), 8), sections.downsample())
    assert torch.equal(small, standardise(torch.from_numpy(restored))[order])
    assert labels.tolist() == train.labels[order].tolist()
    assert np.array_equal(targets, votes[order])
    assert weights.tolist() == [0.75] * 24  # 12.5 of 50 pixels


def test_validation_means_are_over_the_scales_without_full_size() -> None:
    same = faces(12)
    other = LabelledFaces(same.images[::-1].copy(), same.rows, same.labels)
    values = validate(network(), {"hr": same, "x2": same, "x8": other}, CPU)
    mean = (values["validation/x2"] + values["validation/x8"]) / 2
    assert values["validation/total_accuracy"] == pytest.approx(mean)
    both = (values["validation/total_accuracy"] + values["validation/mean_class_accuracy"]) / 2
    assert values["validation/both"] == pytest.approx(both)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingsError, match="any_size_share"):
        sections.sizes(full_size_share=0.8, any_size_share=0.3)
    with pytest.raises(SettingsError, match=r"ema_decay is 0\.0; .* the EMA is the teacher"):
        sections.finetune(teacher=TAUGHT, ema_decay=0.0)


def test_each_degradation_is_drawn_for_its_share_within_its_range() -> None:
    shares = {"other_kernel_share": 0.5, "jpeg_share": 1.0, "light_share": 0.25}
    settings = replace(sections.finetune().degradations, **shares)
    drawn = draw_degradations(settings, torch.Generator().manual_seed(2), 400)
    assert set(drawn.blur) == set(drawn.noise) == {None}
    assert 30 <= min(drawn.jpeg) < 35 < 85 < max(drawn.jpeg) <= 90
    kernels = [drawn.kernel.count(kind) for kind in ("area", "nearest")]
    assert all(70 < count < 130 for count in kernels)
    gains = [gain for gain in drawn.light if gain is not None]
    assert 70 < len(gains) < 130
    assert 0.5 <= min(gains) < 0.6 < 1.5 < max(gains) <= 1.6


def test_degraded_faces_by_hand() -> None:
    faces = np.zeros((2, 100, 100, 3), np.uint8)
    faces[:, ::2] = 200  # rows light and dark: 100 by area, one or the other by the nearest pixel
    sizes = torch.tensor([-50, -50])
    nothing = [None, None]
    what = Degradations(
        kernel=["area", None], jpeg=nothing, blur=nothing, noise=nothing, light=[0.5, None]
    )
    changed = degrade(faces, sizes, sections.downsample(), what)
    assert (changed[0] == 50).all()
    untouched = degrade(faces, sizes, sections.downsample())
    np.testing.assert_array_equal(changed[1], untouched[1])
