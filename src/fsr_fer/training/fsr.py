"""Generator and discriminator trained on stored features (paper, sections 3.2 to 3.4)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.distributed import gather, require_enough, share, weighted, wrap
from fsr_fer.common.random_streams import endless_batch, stream, stream_seed
from fsr_fer.features.pairs import FeaturePairs
from fsr_fer.models.covpool import ExpressionClassifier
from fsr_fer.models.discriminator import Discriminator
from fsr_fer.models.generator import Generator
from fsr_fer.training import losses
from fsr_fer.training.fit import Run, Schedule, Stateful, accuracies, fit
from fsr_fer.training.optimizer import TensorFlowAdam, stepped_learning_rate
from fsr_fer.training.settings.fsr import FsrSettings, FsrVariantSettings

VALIDATION_BATCH = 64


@dataclass(frozen=True)
class Batch:
    """The data of one iteration; with several processes, each one's share."""

    lr: Tensor  # [B, 1, d, d], features of the downsampled faces
    hr: Tensor  # [B, 1, d, d], of the same faces at full size
    labels: Tensor  # int64 [B]
    interpolation: Tensor  # [discriminator_steps, B], 0 to 1: where D is penalised


class FsrTrainer:
    """G, D, their optimizers and the frozen classifier; ``train_step`` is one iteration.

    FloatingPointError if a term or gradient of G or D is not finite; it was not updated.
    """

    def __init__(
        self,
        settings: FsrSettings,
        variant: FsrVariantSettings,
        classifier: ExpressionClassifier,
        seed: int,
        device: torch.device,
    ) -> None:
        self.settings, self.losses, self.reweight = settings, variant.losses, variant.reweight
        self.device = device
        if settings.precision == "tf32":  # which only GPUs have
            torch.backends.cudnn.allow_tf32 = True
        self.classifier = classifier.to(device).eval().requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "fsr", "weights"))
            self.generator = Generator(settings.generator)
            dim = math.isqrt(classifier.hidden.in_features)
            self.discriminator = Discriminator(settings.discriminator, dim)
        for network in (self.generator, self.discriminator):
            # What the convolution kernels of CPUs and GPUs alike are fastest in.
            network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_optimizer, self.discriminator_optimizer = (
            TensorFlowAdam(
                network,
                learning_rate=settings.learning_rate,
                beta1=settings.beta1,
                beta2=settings.beta2,
            )
            for network in (self.generator, self.discriminator)
        )
        self.state: dict[str, Stateful] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        self._wrapped_generator = wrap(self.generator)
        self._wrapped_discriminator = wrap(self.discriminator)

    def train_step(self, batch: Batch, *, diagnose: bool = False) -> dict[str, Tensor]:
        """Update D, then G; returns their terms, with ``diagnose`` also gradient norms at F_sr."""
        # G does not change before its own update, so F_sr is generated once for both.
        sr_features = self._restore(batch.lr)
        terms = dict[str, Tensor]()
        if self.losses.gan_weight > 0:
            for interpolation in batch.interpolation:
                terms |= self._update_discriminator(batch, sr_features.detach(), interpolation)
        return terms | self._update_generator(batch, sr_features, diagnose)

    def l2_step(self, batch: Batch) -> dict[str, Tensor]:
        """Update G alone with the feature L2 loss (the release's first phase)."""
        sr_features = self._restore(batch.lr)
        loss = losses.feature_l2(sr_features, batch.hr, self.losses.feature_l2_reduction).mean()
        terms = {"g/feature_l2": loss}
        self.generator_optimizer.zero_grad()
        weighted(loss, len(batch.labels)).backward()
        return self.generator_optimizer.step_if_finite(terms, "g", len(batch.labels))

    def _restore(self, lr_features: Tensor) -> Tensor:
        """F_sr in the dtype of F_lr, computed in the precision that the settings name."""
        half = self.settings.precision == "bfloat16"
        with torch.autocast(lr_features.device.type, torch.bfloat16, enabled=half):
            sr_features: Tensor = self._wrapped_generator(lr_features)
        return sr_features.to(lr_features.dtype)

    def _update_discriminator(
        self, batch: Batch, sr_features: Tensor, interpolation: Tensor
    ) -> dict[str, Tensor]:
        """Equation 8: D minimises D(F_hr) - D(F_sr) + k ||gradient||^p, on average."""
        self.discriminator.requires_grad_(True)
        discriminator = self._wrapped_discriminator
        real, fake = discriminator(batch.hr), discriminator(sr_features)
        squared_norm = losses.squared_gradient_norm(
            discriminator, batch.hr, sr_features, interpolation
        )
        k, p = self.losses.penalty_k, self.losses.penalty_p
        penalty = losses.gradient_penalty(squared_norm, k, p)
        reweighted = self.reweight is not None and self.reweight.discriminator
        weights = self._weights(batch, sr_features) if reweighted else 1.0
        loss = (weights * (real - fake) + penalty).mean()
        terms = {
            "d/real": real.mean(),
            "d/fake": fake.mean(),
            "d/penalty": penalty.mean(),
            "d/slope": squared_norm.detach().rsqrt().reciprocal().mean(),
            "d/total": loss,
        }
        self.discriminator_optimizer.zero_grad()
        weighted(loss, len(batch.labels)).backward()
        return self.discriminator_optimizer.step_if_finite(terms, "d", len(batch.labels))

    def _update_generator(
        self, batch: Batch, sr_features: Tensor, diagnose: bool
    ) -> dict[str, Tensor]:
        """Equations 10 and 11: G minimises w_i (L_gan + L_p + L_2), on average."""
        self.discriminator.requires_grad_(False)
        # The losses see a copy of F_sr; its gradient then goes through G once.
        seen = sr_features.detach().requires_grad_(True)
        parts, weights = self._generator_terms(batch.hr, seen), self._weights(batch, seen)
        loss = (weights * torch.stack(list(parts.values())).sum(dim=0)).mean()
        terms = {f"g/{name}": part.mean() for name, part in parts.items()}
        if diagnose:
            for name, part in parts.items():
                (slope,) = torch.autograd.grad(part.sum(), seen, retain_graph=True)
                terms[f"g/slope_{name}"] = slope.flatten(1).norm(dim=1).mean()
        terms |= {"g/total": loss, "g/weight": weights.mean()}
        (gradient,) = torch.autograd.grad(weighted(loss, len(batch.labels)), seen)
        self.generator_optimizer.zero_grad()
        sr_features.backward(gradient)
        return self.generator_optimizer.step_if_finite(terms, "g", len(batch.labels))

    def _generator_terms(self, hr_features: Tensor, sr_features: Tensor) -> dict[str, Tensor]:
        """Equation 10's weighted terms, [B] each; those of weight 0 are left out."""
        weights, parts = self.losses, {}
        if weights.gan_weight > 0:
            parts["gan"] = weights.gan_weight * self.discriminator(sr_features)  # equation 7
        if weights.perceptual_weight > 0:
            with torch.no_grad():
                hr_embedding = self.classifier.embedding(hr_features)
            sr_embedding = self.classifier.embedding(sr_features)
            distance = losses.perceptual(sr_embedding, hr_embedding)
            parts["perceptual"] = weights.perceptual_weight * distance
        if weights.feature_l2_weight > 0:
            distance = losses.feature_l2(sr_features, hr_features, weights.feature_l2_reduction)
            parts["feature_l2"] = weights.feature_l2_weight * distance
        return parts

    def _weights(self, batch: Batch, sr_features: Tensor) -> Tensor:
        """Equation 11's weight of each face, [B]; 1 without re-weighting."""
        reweight = self.reweight
        if reweight is None:
            return torch.ones_like(batch.labels, dtype=sr_features.dtype)
        _, logits = self.classifier(sr_features if reweight.probability_from == "sr" else batch.lr)
        weights = losses.classification_weights(logits, batch.labels, reweight.sigma, reweight.r)
        return weights.detach() if reweight.detach else weights

    def set_learning_rate(self, iteration: int) -> None:
        """Follow the schedule of the L2 phase, and after its end that of the GAN phase."""
        settings, position = self.settings, iteration - self.settings.l2_iterations
        if position < 0:
            halvings = iteration / settings.l2_decay_iterations
            rate = settings.l2_learning_rate * 0.5**halvings
        else:
            rate = stepped_learning_rate(settings, position)
        self.generator_optimizer.learning_rate = self.discriminator_optimizer.learning_rate = rate

    @torch.inference_mode()
    def validate(self, pairs: FeaturePairs) -> dict[str, float]:
        """``accuracies`` on the held-out faces, computed by all processes."""
        own = pairs.take(share(len(pairs)))
        predicted = {}
        for scale in own.lr:
            parts = []
            for faces in torch.arange(len(own)).split(VALIDATION_BATCH):
                scales = np.full(len(faces), scale)
                lr_features, _, _ = own.read(faces.numpy(), scales, self.device)
                _, logits = self.classifier(self.generator(lr_features))
                parts.append(logits.argmax(dim=1).cpu())
            predicted[f"x{scale}"] = gather(torch.cat(parts)).numpy()
        return accuracies(pairs.labels, predicted)


def draw_batch(
    pairs: FeaturePairs, settings: FsrSettings, seed: int, iteration: int, device: torch.device
) -> Batch:
    """Faces in epochs without repetition, each at a random scale, which the paper leaves open."""
    size, steps = settings.batch_size, settings.discriminator_steps
    generator = stream(seed, "fsr", "batch", iteration)
    faces = endless_batch(len(pairs), seed, "fsr", iteration, size)
    picks = torch.randint(len(pairs.lr), (size,), generator=generator)
    interpolation = torch.rand(steps, size, generator=generator)
    own = share(size)
    scales = np.array(list(pairs.lr))[picks[own].numpy()]
    maps = pairs.read(faces[own].numpy(), scales, device)
    return Batch(*maps, interpolation[:, own].to(device))


def train_fsr(
    train: FeaturePairs,
    validation: FeaturePairs,
    classifier: ExpressionClassifier,
    settings: FsrSettings,
    variant: FsrVariantSettings,
    run: Run,
) -> Generator:
    """Train G against D and return G as it was when best on the validation faces.

    Runs of one seed start from the same weights and see the same faces in the same order. UserError
    if the training diverged, or there are more processes than faces in a batch or for validation.
    """
    require_enough(min(settings.batch_size, len(validation)))
    trainer = FsrTrainer(settings, variant, classifier, run.seed, run.device)
    schedule = Schedule(settings.l2_iterations + settings.iterations, settings.validation_every)

    def train_step(iteration: int) -> dict[str, Tensor]:
        trainer.set_learning_rate(iteration)
        batch = draw_batch(train, settings, run.seed, iteration, run.device)
        if iteration < settings.l2_iterations:
            return trainer.l2_step(batch)
        return trainer.train_step(batch, diagnose=schedule.validates_after(iteration))

    fit(
        trainer.generator,
        trainer.state,
        train_step,
        lambda _: trainer.validate(validation),
        score="validation/total_accuracy",
        schedule=schedule,
        run=run,
    )
    return trainer.generator
