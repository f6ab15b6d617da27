"""Balance between classes by their shares of the train faces (Menon et al. 2021)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """All logits lose ``class_balance`` times the log class shares (Menon et al., equation 9).

    With probabilities that are calibrated 0 gets most faces right, 1 the best mean over classes;
    a method that was trained with a class balance gets most faces right below 0.
    """

    class_balance: float


def log_class_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """The logarithm of each class's share of the labels, [classes]; without faces as if of one."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(np.log(np.maximum(counts, 1) / len(labels)))
