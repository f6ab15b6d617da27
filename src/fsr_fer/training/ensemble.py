"""Distillation from several trained networks into one (Hinton et al. 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.common.settings import PositiveFloat, require
from fsr_fer.models.covpool import CovPoolFER


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """How a student imitates the mean prediction of two methods of finetune."""

    teachers: tuple[str, ...]
    temperature: PositiveFloat
    weight: PositiveFloat

    def __post_init__(self) -> None:
        require(len(self.teachers) == 2, "teachers", list(self.teachers), "two of finetune")


class Ensemble:
    """Trained networks whose mean prediction the student imitates."""

    def __init__(
        self, networks: Sequence[CovPoolFER], settings: DistillSettings, device: torch.device
    ) -> None:
        self.networks = [n.to(device).eval().requires_grad_(False) for n in networks]
        self.settings = settings

    def divergence(self, faces: Tensor, logits: Tensor) -> Tensor:
        """The loss for the student's ``logits`` [B, classes] of the same standardised faces.

        The Kullback-Leibler divergence from the mean of the networks' probabilities, all at the
        temperature, times the weight and the temperature squared.
        """
        temperature = self.settings.temperature
        with torch.no_grad():
            read = [(network(faces)[1] / temperature).softmax(dim=1) for network in self.networks]
        divergence = functional.kl_div(
            (logits / temperature).log_softmax(dim=1),
            torch.stack(read).mean(dim=0),
            reduction="batchmean",
        )
        return self.settings.weight * temperature**2 * divergence
