"""From stored features to predicted classes, for every row that works on features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fsr_fer.features.packing import unpack
from fsr_fer.features.tables import Table, in_order
from fsr_fer.models.covpool import ExpressionClassifier
from fsr_fer.progress import Track, quiet

BATCH = 64


@dataclass(frozen=True)
class Answers:
    """What a row says of some faces: ``classes`` (int64 [N]) and the probability it gives to each.

    ``confidence`` is float64 [N], 0 to 1.
    """

    classes: np.ndarray
    confidence: np.ndarray


def answers_of(logits: Tensor) -> Answers:
    """The most probable class by logits [B, classes], on any device."""
    probabilities = logits.cpu().to(torch.float64).softmax(dim=1)
    classes = probabilities.argmax(dim=1)
    confidence = probabilities.gather(1, classes[:, None])[:, 0]
    return Answers(classes.numpy(), confidence.numpy())


def joined(parts: Sequence[Answers]) -> Answers:
    """The answers of several batches, in their order."""
    if not parts:
        return Answers(np.empty(0, np.int64), np.empty(0, np.float64))
    return Answers(
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.confidence for part in parts]),
    )


@torch.inference_mode()
def answer_features(
    table: Table,
    classifier: ExpressionClassifier,
    generator: nn.Module | None,
    device: torch.device,
) -> Answers:
    """What is read from each face of a table of features.

    With a generator the features go through it first (equation 3). Both networks must be in eval
    mode.
    """
    parts = []
    for positions in in_order(len(table), BATCH):
        maps = unpack(table.read(positions).to(device).to(torch.float32))[:, None]
        if generator is not None:
            maps = generator(maps)
        _, logits = classifier(maps)
        parts.append(answers_of(logits))
    return joined(parts)


def classify_features(
    table: Table,
    classifier: ExpressionClassifier,
    generator: nn.Module | None,
    device: torch.device,
) -> np.ndarray:
    """Predicted class of each face, int64 [N]: ``answer_features`` without its confidence."""
    return answer_features(table, classifier, generator, device).classes


def predict(
    hr_features: Table,
    lr_features: Mapping[int, Table],
    classifier: ExpressionClassifier,
    generator: nn.Module | None,
    device: torch.device,
    *,
    track: Track = quiet,
    task: str = "evaluate",
) -> dict[str, Answers]:
    """What is read at full size ("hr") and at each scale ("x2", ...).

    Full-size features never go through the generator: there is nothing to restore.
    """
    answers = {"hr": answer_features(hr_features, classifier, None, device)}
    for scale, table in track(lr_features.items(), total=len(lr_features), task=task):
        answers[f"x{scale}"] = answer_features(table, classifier, generator, device)
    return answers
