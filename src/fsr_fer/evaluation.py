"""From stored features to predicted classes, for every row that works on features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from fsr_fer.features.packing import unpack
from fsr_fer.features.tables import Table, in_order
from fsr_fer.models.covpool import ExpressionClassifier
from fsr_fer.progress import Track, quiet

BATCH = 64


@torch.inference_mode()
def classify_features(
    table: Table,
    classifier: ExpressionClassifier,
    generator: nn.Module | None,
    device: torch.device,
) -> np.ndarray:
    """Predicted class of each face of a table of features, int64 [N].

    With a generator the features go through it first (equation 3). Both networks must be in eval
    mode.
    """
    predicted = []
    for positions in in_order(len(table), BATCH):
        maps = unpack(table.read(positions).to(device).to(torch.float32))[:, None]
        if generator is not None:
            maps = generator(maps)
        _, logits = classifier(maps)
        predicted.append(logits.argmax(dim=1).cpu().numpy())
    return np.concatenate(predicted) if predicted else np.empty(0, np.int64)


def predict(
    hr_features: Table,
    lr_features: Mapping[int, Table],
    classifier: ExpressionClassifier,
    generator: nn.Module | None,
    device: torch.device,
    *,
    track: Track = quiet,
    task: str = "evaluate",
) -> dict[str, np.ndarray]:
    """Predicted classes at full size ("hr") and at each scale ("x2", ...).

    Full-size features never go through the generator: there is nothing to restore.
    """
    predicted = {"hr": classify_features(hr_features, classifier, None, device)}
    for scale, table in track(lr_features.items(), total=len(lr_features), task=task):
        predicted[f"x{scale}"] = classify_features(table, classifier, generator, device)
    return predicted
