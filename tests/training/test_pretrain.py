"""CovPoolFER's training: optimiser, augmentation, centers, selection, resuming."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fsr_fer.errors import UserError
from fsr_fer.models.covpool import standardise
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.optimizer import TensorFlowAdam, stepped_learning_rate
from fsr_fer.training.pretrain import (
    ExtractorTrainer,
    LabelledFaces,
    augment,
    move_centers,
    train_extractor,
)
from tests import sections

CPU = torch.device("cpu")


def test_adam_follows_tensorflows_rule_by_hand() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -3.0], dtype=torch.float64))
    optimizer = TensorFlowAdam(
        [{"params": [weight], "weight_decay": 0.05}],
        learning_rate=0.1,
        beta1=0.9,
        beta2=0.999,
        epsilon=0.1,
    )
    expected = weight.detach().numpy().copy()
    mean = square = np.zeros(2)
    for t in range(1, 6):
        gradient = np.array([0.3, -2.0]) * t
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        gradient = gradient + 0.05 * expected
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        expected = expected - rate * mean / (np.sqrt(square) + 0.1)
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-12)


def test_a_step_without_asking_the_device_is_taken_or_not() -> None:
    """What a GPU does: the same operations always, of no effect if a term is not finite."""
    weights = [torch.nn.Parameter(torch.tensor([1.0, -3.0])) for _ in range(3)]
    optimizers = [
        TensorFlowAdam([w], learning_rate=0.1, beta1=0.9, beta2=0.999, epsilon=0.1) for w in weights
    ]
    for t in range(1, 4):
        for weight in weights:
            weight.grad = torch.tensor([0.3, -2.0]) * t
        weights[2].grad = torch.tensor([math.nan, -math.inf])
        optimizers[0].step()
        optimizers[1].step_unasked(torch.tensor(True))
        optimizers[2].step_unasked(torch.tensor(False))
    torch.testing.assert_close(weights[1], weights[0])
    assert weights[2].tolist() == [1.0, -3.0]
    assert all(tensor.isfinite().all() for tensor in optimizers[2].state_tensors().values())


def test_adams_first_step_is_far_smaller_than_torchs() -> None:
    steps = []
    for kind in ("tensorflow", "torch"):
        weight = torch.nn.Parameter(torch.zeros(1))
        weight.grad = torch.full((1,), 1e-3)
        if kind == "tensorflow":
            TensorFlowAdam([weight], learning_rate=0.1, beta1=0.9, beta2=0.999, epsilon=0.1).step()
        else:
            torch.optim.Adam([weight], lr=0.1, eps=0.1).step()
        steps.append(abs(weight.item()))
    assert steps[1] / steps[0] == pytest.approx(1 / math.sqrt(0.001), rel=0.05)


@pytest.mark.parametrize(
    ("position", "expected"), [(0, 1.0), (2, 1.0), (3, 0.1), (4, 0.1), (5, 0.01), (99, 0.01)]
)
def test_learning_rate_table(position: int, expected: float) -> None:
    assert stepped_learning_rate(1.0, (3, 5), 0.1, position) == pytest.approx(expected)


def ramp() -> Tensor:
    """One smooth face-sized picture [1, 20, 20, 3] that is different in every direction."""
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    return torch.stack([4 * x + 2 * y, 8 * y, 255 - 6 * x], dim=-1)[None]


@pytest.mark.parametrize(
    ("degrees", "flip", "expected"),
    [
        (0.0, False, lambda p: p),
        (0.0, True, lambda p: p.flip(2)),
        (90.0, False, lambda p: torch.rot90(p, 1, (1, 2))),
        (90.0, True, lambda p: torch.rot90(p, 1, (1, 2)).flip(2)),
    ],
)
def test_augmentation_by_quarter_turns_and_mirrors(
    degrees: float, flip: bool, expected: Any
) -> None:
    picture = ramp()
    angle = torch.tensor([math.radians(degrees)])
    result = augment(picture, angle, torch.tensor([flip]))
    torch.testing.assert_close(result, expected(picture), rtol=0, atol=0.01)


def test_augmentation_keeps_range_and_blackens_corners() -> None:
    white = torch.full((2, 100, 100, 3), 255.0)
    result = augment(white, torch.tensor([0.17, -0.17]), torch.tensor([False, True]))
    assert result.min() >= 0
    assert result.max() <= 255
    assert result[:, 0, 0].max() == 0
    assert result[:, 50, 50].min() == 255


def test_centers_move_as_if_face_by_face_for_equal_faces() -> None:
    centers = torch.zeros(2, 3)
    embedding = torch.ones(30, 3)
    move_centers(centers, embedding, torch.zeros(30, dtype=torch.int64), rate=0.1)
    expected = 0.0
    for _ in range(30):
        expected += 0.1 * (1 - expected)
    torch.testing.assert_close(centers[0], torch.full((3,), expected))
    assert centers[1].abs().max() == 0


def faces(count: int, classes: int = 3) -> LabelledFaces:
    """Pictures of 100x100 whose class is the direction of a stripe pattern."""
    generator = np.random.default_rng(count)
    labels = np.arange(count) % classes
    y, x = np.mgrid[0:100, 0:100]
    images = np.empty((count, 100, 100, 3), np.uint8)
    for i, label in enumerate(labels):
        angle = label * np.pi / classes
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 3 + generator.uniform(0, 6))
        noise = generator.normal(0, 20, (100, 100, 3))
        images[i] = np.clip(128 + 60 * wave[..., None] + noise, 0, 255)
    return LabelledFaces(images, np.arange(count), labels)


def run(
    checkpoint: Checkpoint, stop_after: int | None = None, **changes: Any
) -> tuple[dict[str, Tensor], list[tuple[int, dict[str, float]]]]:
    records: list[tuple[int, dict[str, float]]] = []

    def record(step: int, values: dict[str, float]) -> None:
        records.append((step, values))
        if stop_after is not None and step > stop_after:
            raise KeyboardInterrupt

    network = train_extractor(
        faces(24),
        faces(12),
        sections.pretrain(rotation_degrees=0.0, flip=False, **changes),
        num_classes=3,
        seed=7,
        device=CPU,
        checkpoint=checkpoint,
        record=record,
    )
    return network.state_dict(), records


def test_training_learns_and_selects_on_validation() -> None:
    _, records = run(Checkpoint(None), epochs=8, learning_rate_milestones=())
    assert [step for step, _ in records] == list(range(1, 9))
    assert records[-1][1]["train/cross_entropy"] < 0.7 * records[0][1]["train/cross_entropy"]
    assert max(values["validation/total_accuracy"] for _, values in records) > 60


def test_an_interrupted_run_ends_with_the_same_weights_and_curves(tmp_path: Path) -> None:
    expected, curves = run(Checkpoint(None), epochs=3)
    checkpoint = Checkpoint(tmp_path / "key")
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, 1, epochs=3)
    resumed, resumed_curves = run(checkpoint, epochs=3)
    assert resumed_curves == curves
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name


def test_bimap_is_orthonormal_after_steps_and_centers_moved() -> None:
    trainer = ExtractorTrainer(sections.pretrain(), num_classes=3, seed=1, device=CPU)
    images, labels = faces(8).batch(torch.arange(8))
    for _ in range(3):
        trainer.step(standardise(images), labels)
    weight = trainer.network.extractor.bimap.weight.detach()
    torch.testing.assert_close(weight.mT @ weight, torch.eye(8), rtol=0, atol=1e-5)
    assert bool((trainer.centers.abs().sum(dim=1) > 0).all())


def test_divergence_stops_before_the_update_with_one_clear_message() -> None:
    trainer = ExtractorTrainer(sections.pretrain(), num_classes=3, seed=1, device=CPU)
    images, labels = faces(8).batch(torch.arange(8))
    with torch.no_grad():
        trainer.network.classifier.logits.bias[0] = math.inf
    before = trainer.network.classifier.hidden.weight.detach().clone()
    with pytest.raises(UserError, match=r"step 5: train/cross_entropy = .*learning_rate"):
        trainer.step(standardise(images), labels, step=5)
    assert torch.equal(trainer.network.classifier.hidden.weight.detach(), before)


def test_a_training_worse_than_guessing_is_stopped_though_all_is_finite(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "key")
    wild = {"learning_rate": 0.05, "learning_rate_factor": 100.0, "adam_epsilon": 1e-5}
    with pytest.raises(UserError, match=r"epoch 2: train/cross_entropy = .* guessing has 1\.1"):
        run(checkpoint, epochs=3, **wild)
    saved = checkpoint.load()
    assert saved is not None
    assert saved[1]["done"] == 1
