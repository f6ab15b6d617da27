"""Knowledge distillation (Hinton et al. 2015): a student imitates what trained networks predict."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.training.settings.distillation import DistillSettings


def divergence(
    logits: Tensor, target: Tensor, temperature: float, weights: Tensor | None = None
) -> Tensor:
    """Kullback-Leibler divergence of the student's ``logits`` [B, classes] from its target.

    ``target`` [B, classes]: probabilities at the same temperature. The mean over the faces, each
    times its weight [B] if any, times the temperature squared.
    """
    predicted = (logits / temperature).log_softmax(dim=1)
    terms = functional.kl_div(predicted, target, reduction="none")
    if weights is not None:
        terms = terms * weights[:, None]
    return temperature**2 * terms.sum() / len(logits)


class Ensemble:
    """Trained networks whose mean prediction the student imitates."""

    def __init__(
        self, networks: Sequence[FaceClassifier], settings: DistillSettings, device: torch.device
    ) -> None:
        self.networks = [n.to(device).eval().requires_grad_(False) for n in networks]
        self.settings = settings

    def loss(self, faces: Tensor, logits: Tensor) -> Tensor:
        """The weighted divergence of the student's ``logits`` of the same standardised faces."""
        temperature = self.settings.temperature
        with torch.no_grad():
            predicted = [(n.logits(faces) / temperature).softmax(dim=1) for n in self.networks]
            target = torch.stack(predicted).mean(dim=0)
        return self.settings.weight * divergence(logits, target, temperature)
