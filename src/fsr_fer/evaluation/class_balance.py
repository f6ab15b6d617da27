"""Balance between classes that can be chosen after training (Menon et al. 2021, equation 9)."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fsr_fer.common.settings import NotNegativeFloat


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """What is added to every method's logits."""

    class_balance: NotNegativeFloat


def class_bias(settings: PredictionSettings, labels: Sequence[int], classes: int) -> list[float]:
    """What is added to the logit of each class: the balance times -log of its share of ``labels``.

    With probabilities that are calibrated 0 gets most faces right, 1 the best mean over classes.
    """
    counts = Counter(labels)
    return [
        -settings.class_balance * math.log(max(counts[position], 1) / len(labels))
        for position in range(classes)
    ]
