"""The training step as one would write it first: what the engine's is compared with.

The same mathematics in float32, op by op: F_sr is generated once for each player, the penalty takes
a root and a power, gradients reach everything that asks for one, torch's Adam goes from tensor to
tensor, and every term is read after every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fsr_fer import losses
from fsr_fer.models.covpool import ExpressionClassifier
from fsr_fer.models.discriminator import Discriminator
from fsr_fer.models.generator import Generator
from fsr_fer.randomness import stream_seed
from fsr_fer.settings import FsrSettings, LossSettings, ReweightSettings
from fsr_fer.training.fsr import ADAM_EPSILON


class EagerTrainer:
    """G, D and their optimisers, started from the weights that ``FsrTrainer`` starts from."""

    def __init__(
        self,
        settings: FsrSettings,
        loss_settings: LossSettings,
        reweight: ReweightSettings | None,
        classifier: ExpressionClassifier,
        *,
        feature_dim: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.settings, self.losses, self.reweight = settings, loss_settings, reweight
        self.classifier = classifier.to(device).eval().requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "fsr", "weights"))
            self.generator = Generator(settings.generator).to(device)
            self.discriminator = Discriminator(settings.discriminator, feature_dim).to(device)
        self.steps = 0
        self.optimizers = [
            torch.optim.Adam(
                network.parameters(),
                lr=settings.learning_rate,
                betas=(settings.beta1, settings.beta2),
                foreach=False,
            )
            for network in (self.generator, self.discriminator)
        ]

    def step(
        self, lr: Tensor, hr: Tensor, labels: Tensor, mix: Tensor, rate: float
    ) -> dict[str, float]:
        """Update D, then G."""
        generator_optimizer, discriminator_optimizer = self.optimizers
        self.steps += 1
        for optimizer in self.optimizers:
            group = optimizer.param_groups[0]
            # TensorFlow's epsilon, in torch's terms.
            group |= {
                "lr": rate,
                "eps": ADAM_EPSILON / (1 - group["betas"][1] ** self.steps) ** 0.5,
            }

        sr = self.generator(lr).detach()
        real, fake = self.discriminator(hr), self.discriminator(sr)
        between = (hr + mix.view(-1, 1, 1, 1) * (sr - hr)).requires_grad_(True)
        (slope,) = torch.autograd.grad(
            self.discriminator(between).sum(), between, create_graph=True
        )
        penalty = self.losses.penalty_k * slope.flatten(1).norm(dim=1) ** self.losses.penalty_p
        d_loss = real.mean() - fake.mean() + penalty.mean()
        discriminator_optimizer.zero_grad()
        d_loss.backward()
        d_norm = self.gradient_norm(self.discriminator)
        discriminator_optimizer.step()

        sr = self.generator(lr)
        gan = self.losses.gan_weight * self.discriminator(sr)
        embedding, logits = self.classifier(sr)
        target, _ = self.classifier(hr)
        perceptual = self.losses.perceptual_weight * (embedding - target).square().sum(dim=1)
        l2 = losses.feature_l2(sr, hr, self.losses.feature_l2_reduction)
        l2 = self.losses.feature_l2_weight * l2
        weights = torch.ones_like(gan)
        if self.reweight is not None:
            probability = logits.softmax(dim=1)[torch.arange(len(labels)), labels].detach()
            weights = (self.reweight.sigma - probability) ** self.reweight.r
        g_loss = (weights * (gan + perceptual + l2)).mean()
        generator_optimizer.zero_grad()
        g_loss.backward()
        generator_optimizer.step()
        return {
            "d/real": real.mean().item(),
            "d/fake": fake.mean().item(),
            "d/penalty": penalty.mean().item(),
            "d/slope": slope.flatten(1).norm(dim=1).mean().item(),
            "d/total": d_loss.item(),
            "d/gradient_norm": d_norm,
            "g/gan": gan.mean().item(),
            "g/perceptual": perceptual.mean().item(),
            "g/feature_l2": l2.mean().item(),
            "g/total": g_loss.item(),
            "g/weight": weights.mean().item(),
            "g/gradient_norm": self.gradient_norm(self.generator),
        }

    @staticmethod
    def gradient_norm(network: torch.nn.Module) -> float:
        """Norm of all gradients of a network."""
        squares = [p.grad.square().sum() for p in network.parameters() if p.grad is not None]
        return torch.stack(squares).sum().sqrt().item()
