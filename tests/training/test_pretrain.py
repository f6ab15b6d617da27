"""CovPoolFER's training: learning, selection, resuming, divergence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.fit import Run
from fsr_fer.training.pretrain import train_extractor
from tests import sections
from tests.training.recording import Records, check_that_it_resumes, recorded


def faces(count: int) -> LabelledFaces:
    """Pictures of 100x100 whose class is the direction of a stripe pattern."""
    generator = np.random.default_rng(count)
    labels = np.arange(count) % 3
    y, x = np.mgrid[0:100, 0:100]
    images = np.empty((count, 100, 100, 3), np.uint8)
    for i, label in enumerate(labels):
        angle = label * np.pi / 3
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 3 + generator.uniform(0, 6))
        noise = generator.normal(0, 20, (100, 100, 3))
        images[i] = np.clip(128 + 60 * wave[..., None] + noise, 0, 255)
    return LabelledFaces(images, np.arange(count), labels)


FACES = faces(24)


def training(**changes: Any) -> Callable[[Run], CovPoolFER]:
    settings = sections.pretrain(rotation_degrees=0.0, flip=False, **changes)
    return lambda run: train_extractor(faces(24), faces(12), settings, 3, run)


def test_soft_targets_are_labels_where_votes_are_whole_or_nobody_voted() -> None:
    def trained(soft: bool, shares: np.ndarray | None) -> Records:
        settings = sections.pretrain(rotation_degrees=0.0, flip=False, epochs=1, soft_targets=soft)
        voted = LabelledFaces(FACES.images, FACES.rows, FACES.labels, shares)
        _, records = recorded(lambda run: train_extractor(voted, faces(3), settings, 3, run))
        return records

    whole = np.eye(3, dtype=np.float32)[FACES.labels]
    (_, hard), (_, soft) = trained(False, whole)[0], trained(True, whole)[0]
    assert soft["train/cross_entropy"] == pytest.approx(hard["train/cross_entropy"], rel=1e-5)
    (_, unsure) = trained(True, 0.7 * whole + 0.1)[0]
    assert unsure["train/cross_entropy"] != pytest.approx(hard["train/cross_entropy"], rel=1e-3)
    assert trained(True, None) == trained(False, None)


def test_an_interrupted_run_ends_with_the_same_weights_and_curves(tmp_path: Path) -> None:
    check_that_it_resumes(training(epochs=2), tmp_path, stop_after=1)


def test_a_training_worse_than_guessing_is_stopped_though_all_is_finite(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "key")
    wild = {"learning_rate": 0.05, "learning_rate_factor": 100.0, "adam_epsilon": 1e-5}
    message = r"iteration 5: train/cross_entropy = .* a guess has 1\.1\..* learning_rate"
    with pytest.raises(UserError, match=message):
        recorded(training(epochs=3, **wild), checkpoint)
    _, progress = checkpoint.load()
    assert [step for step, _ in progress["history"]] == [1]


def test_each_process_must_have_a_face_to_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    settings = sections.pretrain(batch_size=8)
    with pytest.raises(UserError, match="3 processes cannot share 2 faces; use at most 2"):
        recorded(lambda run: train_extractor(faces(24), faces(2), settings, 3, run))
