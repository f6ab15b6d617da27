"""Generator and discriminator trained on stored features (paper, sections 3.2 to 3.4)."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fsr_fer import losses
from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.evaluation import classify_features
from fsr_fer.features.pairs import FeaturePairs, as_maps
from fsr_fer.models.covpool import ExpressionClassifier
from fsr_fer.models.discriminator import Discriminator
from fsr_fer.models.generator import Generator
from fsr_fer.prefetch import ahead
from fsr_fer.progress import Track, quiet
from fsr_fer.randomness import EpochOrder, stream, stream_seed
from fsr_fer.settings import FsrSettings, LossSettings, ReweightSettings
from fsr_fer.statistics import mean_class_accuracy, total_accuracy
from fsr_fer.training.checkpoint import Checkpoint, prefixed, unprefixed
from fsr_fer.training.optimizer import TensorFlowAdam, stepped_learning_rate
from fsr_fer.training.parallel import gathered, mean_over_all, parallel, require_enough, weighed
from fsr_fer.training.record import Recorder, no_record, require_finite
from fsr_fer.training.selection import Selection
from fsr_fer.training.terms import Tally, Terms

ADAM_EPSILON = 1e-8  # TensorFlow's default; neither paper nor release changes it


class FsrTrainer:
    """G, D, their optimisers and the frozen classifier; ``step`` is one iteration."""

    _sound: Tensor | None = None
    """Whether all was finite so far in this iteration, on the device."""

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
        ranks: Ranks = ALONE,
    ) -> None:
        self.settings, self.losses, self.reweight = settings, loss_settings, reweight
        self.ranks = ranks
        if device.type == "cuda" and settings.precision != "float32":
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        self.classifier = classifier.to(device).eval().requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "fsr", "weights"))
            generator = Generator(settings.generator)
            discriminator = Discriminator(settings.discriminator, feature_dim)
        # Channels last is what the convolution kernels of CPUs and GPUs alike are fastest in.
        layout = torch.channels_last
        self.generator = generator.to(device).to(memory_format=layout)  # type: ignore[call-overload]
        self.discriminator = discriminator.to(device).to(  # type: ignore[call-overload]
            memory_format=layout
        )
        self.generator_optimizer = self._optimizer(self.generator)
        self.discriminator_optimizer = self._optimizer(self.discriminator)
        self._generate = parallel(self.generator, ranks)
        self._judge = parallel(_Judgement(self.discriminator), ranks)

    def _optimizer(self, network: nn.Module) -> TensorFlowAdam:
        return TensorFlowAdam(
            network.parameters(),
            learning_rate=self.settings.learning_rate,
            beta1=self.settings.beta1,
            beta2=self.settings.beta2,
            epsilon=ADAM_EPSILON,
        )

    def step(
        self,
        lr_features: Tensor,
        hr_features: Tensor,
        labels: Tensor,
        mixes: Tensor,
        *,
        iteration: int = 0,
        diagnose: bool = False,
    ) -> dict[str, float]:
        """``advance``, and its terms as numbers.

        Raises:
            UserError: a term or a gradient is not finite; that player was not updated.
        """
        terms = self.advance(lr_features, hr_features, labels, mixes, diagnose=diagnose).floats()
        require_finite(terms, step=iteration, kind="iteration")
        return terms

    def l2_step(
        self, lr_features: Tensor, hr_features: Tensor, *, iteration: int = 0
    ) -> dict[str, float]:
        """``advance_l2``, and its terms as numbers.

        Raises:
            UserError: a term or a gradient is not finite; G was not updated.
        """
        terms = self.advance_l2(lr_features, hr_features).floats()
        require_finite(terms, step=iteration, kind="L2 iteration")
        return terms

    def advance(
        self,
        lr_features: Tensor,
        hr_features: Tensor,
        labels: Tensor,
        mixes: Tensor,
        *,
        diagnose: bool = False,
        total: int | None = None,
    ) -> Terms:
        """Update D, then G, from features [B, 1, d, d] and labels int64 [B]; returns named terms.

        ``mixes`` [discriminator_steps, B] in [0, 1] places the penalty's points. G does not
        change before its own update, so F_sr is generated once for both. With ``diagnose`` the
        gradient norm that each of G's terms has at F_sr is returned too. Where several processes
        share a batch these are the faces of this one; ``total`` are all.

        A player with a term or a gradient that is not finite is not updated, nor is anything
        after it: whoever reads the terms sees it there.
        """
        total = len(labels) if total is None else total
        sr_features = self._restore(lr_features)
        batch = _Batch(lr_features, hr_features, sr_features, labels, total)
        terms: list[Terms] = []
        self._sound = None
        if self.losses.gan_weight > 0:
            terms += [self._update_discriminator(batch, mix) for mix in mixes]
        terms.append(self._update_generator(batch, diagnose))
        return functools.reduce(operator.or_, terms)

    def advance_l2(
        self, lr_features: Tensor, hr_features: Tensor, *, total: int | None = None
    ) -> Terms:
        """Update G alone with the feature L2 loss (the release's first phase)."""
        own = len(lr_features)
        total = own if total is None else total
        loss = losses.feature_l2(
            self._restore(lr_features), hr_features, self.losses.feature_l2_reduction
        ).mean()
        self.generator_optimizer.zero_grad()
        weighed(loss, own, total, self.ranks).backward()
        terms = {"g/feature_l2": loss}
        self._sound = None
        return self._apply(self.generator, self.generator_optimizer, terms, own, total)

    def _restore(self, lr_features: Tensor) -> Tensor:
        """F_sr in the dtype of F_lr, computed in the precision that the settings name."""
        half = self.settings.precision == "bfloat16"
        with torch.autocast(lr_features.device.type, torch.bfloat16, enabled=half):
            sr_features: Tensor = self._generate(lr_features)
        return sr_features.to(lr_features.dtype)

    def _apply(
        self,
        network: nn.Module,
        optimizer: TensorFlowAdam,
        means: dict[str, Tensor],
        own: int,
        total: int,
        player: str = "g",
    ) -> Terms:
        """Update a player if its means over ``own`` faces and its gradient are finite."""
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        terms = Terms.of(means)
        values = mean_over_all(terms.values, own, total, self.ranks)
        names = (*terms.names, f"{player}/gradient_norm")
        terms = Terms(names, torch.cat([values, norm[None].to(values)]))
        finite = terms.finite()
        self._sound = finite if self._sound is None else self._sound & finite
        optimizer.step_if(self._sound)
        return terms

    def _update_discriminator(self, batch: _Batch, mix: Tensor) -> Terms:
        self.discriminator.requires_grad_(True)
        sr_features = batch.sr.detach()
        real, fake, squared_slope = self._judge(batch.hr, sr_features, mix)
        penalty = losses.divergence_penalty(
            squared_slope, self.losses.penalty_k, self.losses.penalty_p
        )
        weights = torch.ones_like(real)
        if self.reweight is not None and self.reweight.discriminator:
            weights = self._weights(batch.lr, sr_features, batch.labels).detach()
        distance = weights * losses.discriminator_gan(real, fake)
        loss = (distance + penalty).mean()
        self.discriminator_optimizer.zero_grad()
        own = len(batch.labels)
        weighed(loss, own, batch.total, self.ranks).backward()
        terms = {
            "d/real": real.detach().mean(),
            "d/fake": fake.detach().mean(),
            "d/penalty": penalty.detach().mean(),
            "d/slope": squared_slope.detach().sqrt().mean(),
            "d/total": loss,
        }
        return self._apply(
            self.discriminator, self.discriminator_optimizer, terms, own, batch.total, "d"
        )

    def _update_generator(self, batch: _Batch, diagnose: bool) -> Terms:
        self.discriminator.requires_grad_(False)
        # The losses see a copy of F_sr; its gradient then goes through G once, whatever they were.
        seen = batch.sr.detach().requires_grad_(True)
        parts = self._generator_terms(batch.hr, seen)
        if self.reweight is None:
            weights = torch.ones_like(batch.labels, dtype=seen.dtype)
        else:
            weights = self._weights(batch.lr, seen, batch.labels)
            if self.reweight.detach:
                weights = weights.detach()
        loss = (weights * torch.stack(list(parts.values())).sum(dim=0)).mean()
        terms = {f"g/{name}": part.detach().mean() for name, part in parts.items()}
        if diagnose:
            terms |= {f"g/slope_{name}": _slope_at(part, seen) for name, part in parts.items()}
        own = len(batch.labels)
        (gradient,) = torch.autograd.grad(weighed(loss, own, batch.total, self.ranks), seen)
        self.generator_optimizer.zero_grad()
        batch.sr.backward(gradient)
        terms |= {"g/total": loss, "g/weight": weights.detach().mean()}
        return self._apply(self.generator, self.generator_optimizer, terms, own, batch.total)

    def _generator_terms(self, hr_features: Tensor, sr_features: Tensor) -> dict[str, Tensor]:
        """The weighted terms of equation 10 per face, [B] each; those of weight 0 are left out."""
        weights, parts = self.losses, {}
        if weights.gan_weight > 0:
            scores = self.discriminator(sr_features)
            parts["gan"] = weights.gan_weight * losses.generator_gan(scores)
        if weights.perceptual_weight > 0:
            with torch.no_grad():
                hr_embedding = self.classifier.embedding(hr_features)
            sr_embedding = self.classifier.embedding(sr_features)
            parts["perceptual"] = weights.perceptual_weight * losses.perceptual(
                sr_embedding, hr_embedding
            )
        if weights.feature_l2_weight > 0:
            parts["feature_l2"] = weights.feature_l2_weight * losses.feature_l2(
                sr_features, hr_features, weights.feature_l2_reduction
            )
        return parts

    def _weights(self, lr_features: Tensor, sr_features: Tensor, labels: Tensor) -> Tensor:
        """Equation 11's weight of each face, [B]."""
        assert self.reweight is not None
        source = sr_features if self.reweight.probability_from == "sr" else lr_features
        _, logits = self.classifier(source)
        return losses.classification_weights(logits, labels, self.reweight.sigma, self.reweight.r)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""
        return (
            prefixed("generator", self.generator.state_dict())
            | prefixed("discriminator", self.discriminator.state_dict())
            | prefixed("generator_optimizer", self.generator_optimizer.state_tensors())
            | prefixed("discriminator_optimizer", self.discriminator_optimizer.state_tensors())
        )

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Bring back a state that ``tensors`` gave."""
        self.generator.load_state_dict(unprefixed("generator", tensors))
        self.discriminator.load_state_dict(unprefixed("discriminator", tensors))
        self.generator_optimizer.load_state_tensors(unprefixed("generator_optimizer", tensors))
        self.discriminator_optimizer.load_state_tensors(
            unprefixed("discriminator_optimizer", tensors)
        )


@dataclass(frozen=True)
class _Batch:
    """What one update works on: this process's faces of the ``total`` that all of them share."""

    lr: Tensor  # [B, 1, d, d], as are hr and sr
    hr: Tensor
    sr: Tensor
    labels: Tensor  # int64 [B]
    total: int


class _Judgement(nn.Module):
    """All that D's loss takes from D, in one forward pass."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(
        self, hr_features: Tensor, sr_features: Tensor, mix: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """D at real and generated features, and its squared slope between them, [B] each."""
        real, fake = self.discriminator(hr_features), self.discriminator(sr_features)
        return real, fake, losses.slope_squared(self.discriminator, hr_features, sr_features, mix)


def _slope_at(part: Tensor, seen: Tensor) -> Tensor:
    """Mean norm over the faces of a term's gradient at F_sr."""
    (gradient,) = torch.autograd.grad(part.sum(), seen, retain_graph=True)
    return gradient.flatten(1).norm(dim=1).mean()


def validate(
    generator: Generator,
    classifier: ExpressionClassifier,
    pairs: FeaturePairs,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Accuracies in percent on held-out faces: total at each scale, both kinds on average.

    Several processes share the faces; all of them get the accuracies.
    """
    count = len(pairs.labels)
    mine = np.arange(count)[ranks.share(count)]
    own = pairs if ranks.world == 1 else pairs.take(mine)
    generator.eval()
    values: dict[str, float] = {}
    class_means = []
    for scale, table in own.lr.items():
        part = torch.from_numpy(classify_features(table, classifier, generator, device))
        predicted = gathered(part, count, ranks).numpy()
        values[f"validation/x{scale}"] = total_accuracy(pairs.labels, predicted)
        class_means.append(mean_class_accuracy(pairs.labels, predicted))
    generator.train()
    mean = sum(values.values()) / len(values)
    return values | {
        "validation/total_accuracy": mean,
        "validation/mean_class_accuracy": sum(class_means) / len(class_means),
    }


def train_fsr(
    train: FeaturePairs,
    validation: FeaturePairs,
    classifier: ExpressionClassifier,
    settings: FsrSettings,
    loss_settings: LossSettings,
    reweight: ReweightSettings | None,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint,
    track: Track = quiet,
    record: Recorder = no_record,
    task: str = "fsr",
    ranks: Ranks = ALONE,
) -> Generator:
    """Train G against D and return G as it was when best on the validation faces.

    Plain and re-weighted runs of one seed start from the same weights and see the same faces in
    the same order. ``checkpoint`` is saved at every validation and resumed from; what is recorded
    there are means over the iterations since the one before. Several processes share each batch
    and the validation faces; the result is that of one, but for rounding.

    Raises:
        UserError: the training diverged, or there are more processes than faces in a batch.
    """
    require_enough(settings.batch_size, ranks)
    trainer = FsrTrainer(
        settings,
        loss_settings,
        reweight,
        classifier,
        feature_dim=train.dim,
        seed=seed,
        device=device,
        ranks=ranks,
    )
    selection = Selection(trainer, trainer.generator, checkpoint, record, ranks)
    total = settings.l2_iterations + settings.iterations
    first = selection.done
    train, validation = train.resident(device), validation.resident(device)
    # Read from the disk ahead of the training; from the GPU's own memory there is nothing to wait
    # for, and its work must be queued by one thread.
    drawn = draws(train, settings, seed, range(first, total), ranks)
    drawn = drawn if device.type == "cuda" else ahead(drawn)
    tally = Tally("iteration")
    for draw in track(drawn, total=total, task=task, done=first):
        iteration = draw.iteration
        last = iteration + 1 == total
        validating = (iteration + 1) % settings.validation_every == 0 or last
        tally.add(iteration, iterate(trainer, draw, device, diagnose=validating))
        if not validating:
            continue
        values = tally.means()
        values |= validate(trainer.generator, trainer.classifier, validation, device, ranks)
        selection.keep(iteration + 1, values, values["validation/total_accuracy"])
    selection.finish()
    return trainer.generator


@dataclass(frozen=True)
class Draw:
    """What one iteration works on, a function of (seed, iteration) alone.

    Of several processes each one has its part of the batch.
    """

    iteration: int
    packed: Tensor  # [2, B, P]: small and full size, as stored
    labels: Tensor  # int64 [B]
    mixes: Tensor  # [discriminator_steps, B], where the penalty's points lie


def draws(
    train: FeaturePairs,
    settings: FsrSettings,
    seed: int,
    iterations: range,
    ranks: Ranks = ALONE,
) -> Iterator[Draw]:
    """Faces in epochs without repetition; the scale of each at random (paper, section 4.2)."""
    order = EpochOrder(len(train.labels), seed, "fsr")
    factors = np.array(list(train.lr))
    own = ranks.share(settings.batch_size)
    for iteration in iterations:
        generator = stream(seed, "fsr", "batch", iteration)
        faces = order.batch(iteration, settings.batch_size)
        picks = torch.randint(len(factors), (settings.batch_size,), generator=generator)
        mixes = torch.rand(settings.discriminator_steps, settings.batch_size, generator=generator)
        packed, labels = train.read(faces[own].numpy(), factors[picks[own].numpy()])
        yield Draw(iteration, packed, labels, mixes[:, own])


def iterate(trainer: FsrTrainer, draw: Draw, device: torch.device, *, diagnose: bool) -> Terms:
    """One iteration of the release's L2 phase, or of the training proper."""
    settings, iteration = trainer.settings, draw.iteration
    lr_features, hr_features, labels = as_maps(draw.packed, draw.labels, device)
    if iteration < settings.l2_iterations:
        halvings = iteration / settings.l2_decay_iterations
        trainer.generator_optimizer.set_learning_rate(settings.l2_learning_rate * 0.5**halvings)
        return trainer.advance_l2(lr_features, hr_features, total=settings.batch_size)
    position = iteration - settings.l2_iterations
    rate = stepped_learning_rate(
        settings.learning_rate,
        settings.learning_rate_milestones,
        settings.learning_rate_factor,
        position,
    )
    trainer.generator_optimizer.set_learning_rate(rate)
    trainer.discriminator_optimizer.set_learning_rate(rate)
    return trainer.advance(
        lr_features,
        hr_features,
        labels,
        draw.mixes.to(device),
        diagnose=diagnose,
        total=settings.batch_size,
    )
