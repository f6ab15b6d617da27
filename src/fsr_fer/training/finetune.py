"""The pretrained extractor trained further on faces of all sizes, or another network on them.

In ``orthogonal_updates`` Muon updates most weights; ``ensemble_distillation`` also imitates two
trained networks. With ``teacher.weight`` above 0 the EMA's prediction for the full-size face is
imitated too.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.common.distributed import require_one_process
from fsr_fer.common.random_streams import epoch_order, stream, stream_seed
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.degradations import Kernel, add, blur, brighten, jpeg, shrink
from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.class_balance import log_class_shares
from fsr_fer.evaluation.predictions import HR
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.covpool import standardise
from fsr_fer.models.networks import NETWORKS
from fsr_fer.resize import imresize
from fsr_fer.training.augmentation import draw_variation, vary
from fsr_fer.training.distillation import Ensemble, divergence
from fsr_fer.training.fit import Run, Schedule, Stateful, accuracies, fit
from fsr_fer.training.optimizer import Muon, TensorFlowAdam
from fsr_fer.training.pretrain import classify, update
from fsr_fer.training.settings.finetuning import (
    DegradationsSettings,
    FinetuneSettings,
    SizesSettings,
)

ADAM_EPSILON = 1e-5
"""As pretraining's in params.yaml; CovPoolFER's 0.1 is too slow for short trainings."""


def draw_sizes(
    settings: SizesSettings, scales: Sequence[int], generator: torch.Generator, faces: int
) -> Tensor:
    """Size of each face, int64 [faces]: 0 is full size, s >= 2 a scale, -n a side of n pixels.

    Scales are equally likely, pixels logarithmically uniform.
    """
    kind = torch.rand(faces, generator=generator)
    scale = torch.tensor(scales)[torch.randint(len(scales), (faces,), generator=generator)]
    reach = math.log((FULL_SIZE + 1) / settings.smallest_pixels)
    place = torch.rand(faces, generator=generator, dtype=torch.float64)
    pixels = (settings.smallest_pixels * (place * reach).exp()).floor().long().clamp_max(FULL_SIZE)
    sizes = torch.where(kind < settings.full_size_share + settings.any_size_share, -pixels, scale)
    return torch.where(kind < settings.full_size_share, 0, sizes)


def teacher_weights(sizes: Tensor, fades_at_pixels: int) -> Tensor:
    """The teacher's weight for faces of these sizes (as of ``draw_sizes``), float32 [B].

    It falls linearly from 1 at 0 pixels to 0 at ``fades_at_pixels``; if that is 0, it is always 1.
    """
    if fades_at_pixels == 0:
        return torch.ones(len(sizes))
    pixels = torch.where(sizes > 0, FULL_SIZE / sizes, -sizes)
    pixels = torch.where(sizes == 0, FULL_SIZE, pixels)
    return (1 - pixels / fades_at_pixels).clamp_min(0)


@dataclass(frozen=True)
class Degradations:
    """Degradations of each of B faces at its own resolution; None: not applied to this face."""

    kernel: Sequence[Kernel | None]
    jpeg: Sequence[int | None]
    blur: Sequence[float | None]
    noise: Sequence[np.ndarray | None]
    light: Sequence[float | None]


def draw_degradations(
    settings: DegradationsSettings, generator: torch.Generator, faces: int
) -> Degradations:
    """Draw each kind of degradation for its share of the faces, uniformly within its range.

    JPEG quality is 30 to 90, blur sigma 0.2 to 1 pixel, gain 0.5 to 1.6, the noise's standard
    deviation 1 to 10 grey levels; the kernel is area or nearest.
    """

    def drawn(share: float, low: float, high: float) -> list[float | None]:
        chosen, place = torch.rand(2, faces, generator=generator, dtype=torch.float64).tolist()
        return [
            low + (high - low) * p if c < share else None
            for c, p in zip(chosen, place, strict=True)
        ]

    kernels = drawn(settings.other_kernel_share, 0, 1)
    qualities = drawn(settings.jpeg_share, 30, 90)
    blurs = drawn(settings.blur_share, 0.2, 1)
    levels = drawn(settings.noise_share, 1, 10)
    gains = drawn(settings.light_share, 0.5, 1.6)

    def noise(level: float) -> np.ndarray:
        return (level * torch.randn(FULL_SIZE, FULL_SIZE, 3, generator=generator)).numpy()

    return Degradations(
        kernel=[None if k is None else "area" if k < 0.5 else "nearest" for k in kernels],
        jpeg=[None if quality is None else round(quality) for quality in qualities],
        blur=blurs,
        noise=[None if level is None else noise(level) for level in levels],
        light=gains,
    )


def degrade(
    faces: np.ndarray,
    sizes: Tensor,
    settings: DownsampleSettings,
    degradations: Degradations | None = None,
) -> np.ndarray:
    """Faces downsampled, degraded and restored, uint8 [B, 100, 100, 3] -> same."""
    degraded = faces.copy()
    for size in sizes.unique().tolist():
        chosen = np.flatnonzero((sizes == size).numpy())
        small = faces[chosen]
        if size > 0:
            small = downsample(small, size, settings)
        elif size < 0:
            small = imresize(small, output_shape=(-size, -size), boundary=settings.boundary)
        if degradations is not None:
            pairs = zip(small, chosen.tolist(), strict=True)
            small = np.stack([_degrade(one, faces, degradations, face) for one, face in pairs])
        if size > 0:
            small = restore(small, size, settings)
        elif size < 0:
            full = (FULL_SIZE, FULL_SIZE)
            small = imresize(small, output_shape=full, boundary=settings.boundary)
        degraded[chosen] = small
    return degraded


def _degrade(small: np.ndarray, faces: np.ndarray, what: Degradations, face: int) -> np.ndarray:
    """One small face degraded in the order in which a photograph would be."""
    pixels = len(small)
    if (kernel := what.kernel[face]) is not None and pixels < FULL_SIZE:
        small = shrink(faces[face], pixels, kernel)
    if (sigma := what.blur[face]) is not None:
        small = blur(small, sigma)
    if (gain := what.light[face]) is not None:
        small = brighten(small, gain)
    if (noise := what.noise[face]) is not None:
        small = add(small, noise[:pixels, :pixels])
    if (quality := what.jpeg[face]) is not None:
        small = jpeg(small, quality)
    return small


class FinetuneTrainer:
    """Student (a copy of ``initial``), EMA and optimizer; ``model`` is what results of them.

    ``log_shares`` [classes] are the logarithms of the classes' shares of the train faces.
    """

    def __init__(
        self,
        settings: FinetuneSettings,
        initial: FaceClassifier,
        log_shares: Tensor,
        device: torch.device,
        ensemble: Ensemble | None = None,
    ) -> None:
        self.settings = settings
        self.log_shares = log_shares.to(device)
        self.ensemble = ensemble
        self.ema = copy.deepcopy(initial).to(device).eval().requires_grad_(False)
        self.student = copy.deepcopy(self.ema).train().requires_grad_(True)
        self.model = self.ema if settings.ema_decay > 0 else self.student
        make = partial(Muon, step_size=settings.muon) if settings.muon > 0 else TensorFlowAdam
        self.optimizer: TensorFlowAdam = make(
            self.student,
            learning_rate=settings.learning_rate,
            epsilon=ADAM_EPSILON,
            weight_decay=settings.weight_decay,
        )
        self.state: dict[str, Stateful] = {
            "student": self.student,
            "ema": self.ema,
            "optimizer": self.optimizer,
        }

    def train_step(
        self,
        small: Tensor,
        labels: Tensor,
        targets: Tensor | None = None,
        full: Tensor | None = None,
        teacher_weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One ``update`` from small faces, standardised [B, 3, H, W].

        ``targets``: probabilities [B, classes] in place of the labels, for cross-entropy alone.
        ``full``: the same faces at full size, for the teacher if there is one;
        ``teacher_weights`` [B]: the teacher's weight per face; None is 1. Returned are the terms of
        the loss, accuracy in percent and gradient norm; FloatingPointError if one is not finite.
        """
        half = self.settings.precision == "bfloat16"
        logits = self.student.logits(small, half)
        # Logit adjustment: the classes' frequencies are added in training alone.
        adjusted = logits + self.settings.class_balance * self.log_shares
        cross_entropy = functional.cross_entropy(
            adjusted,
            labels if targets is None else targets,
            label_smoothing=self.settings.label_smoothing,
        )
        terms = {"train/cross_entropy": cross_entropy}
        teacher = self.settings.teacher
        if full is not None and teacher.weight > 0:
            with torch.no_grad():
                target = (self.ema.logits(full, half) / teacher.temperature).softmax(dim=1)
            distance = divergence(logits, target, teacher.temperature, teacher_weights)
            terms["train/teacher"] = teacher.weight * distance
        if self.ensemble is not None:
            terms["train/ensemble"] = self.ensemble.loss(small, logits)
        loss = torch.stack(list(terms.values())).sum()
        terms = update(self.student, self.optimizer, loss, terms, logits, labels)
        self._update_ema()
        return terms

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Move the EMA towards the student."""
        if self.settings.ema_decay == 0:
            return
        ema, student = (
            [t for t in network.state_dict().values() if t.is_floating_point()]
            for network in (self.ema, self.student)
        )
        torch._foreach_lerp_(ema, student, 1 - self.settings.ema_decay)
        self.ema.retract()


def validate(
    network: FaceClassifier, held_out: Mapping[str, LabelledFaces], device: torch.device
) -> dict[str, float]:
    """``accuracies`` of the same faces by size ("hr", "x2", ...), and the mean of both kinds."""
    predicted = {size: classify(network, faces, device) for size, faces in held_out.items()}
    values = accuracies(held_out[HR].labels, predicted)
    both = values["validation/total_accuracy"] + values["validation/mean_class_accuracy"]
    return values | {"validation/both": both / 2}


def cosine_learning_rate(initial: float, final: float, position: int, total: int) -> float:
    """From ``initial`` at position 0 to ``final`` at ``total``, along half a cosine."""
    return final + (initial - final) * (1 + math.cos(math.pi * position / total)) / 2


def initial_network(name: str, pretrained: FaceClassifier, seed: int) -> FaceClassifier:
    """``pretrained``, or one of ``NETWORKS`` with the same classes and its initial weights."""
    if name == "pretrained":
        return pretrained
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "finetune", "weights"))
        network = NETWORKS[name](len(pretrained.class_names))
    network.class_names = pretrained.class_names
    return network


def finetune(
    pretrained: FaceClassifier,
    train: LabelledFaces,
    validation: LabelledFaces,
    settings: FinetuneSettings,
    downsampling: DownsampleSettings,
    scales: Sequence[int],
    run: Run,
    ensemble: Ensemble | None = None,
) -> FaceClassifier:
    """Train a copy of ``pretrained``, or the network in ``settings``; the best on validation.

    UserError if the training diverged, or torchrun has started several processes.
    """
    require_one_process()
    initial = initial_network(settings.network, pretrained, run.seed)
    shares = log_class_shares(train.labels, len(pretrained.class_names))
    log_shares = torch.from_numpy(shares).float()
    trainer = FinetuneTrainer(settings, initial, log_shares, run.device, ensemble)
    rows, held_out = np.arange(len(validation)), {HR: validation}
    full = np.ascontiguousarray(validation.images[validation.rows])
    for scale in scales:
        restored = restore(downsample(full, scale, downsampling), scale, downsampling)
        held_out[f"x{scale}"] = LabelledFaces(restored, rows, validation.labels)
    batch_size = min(settings.batch_size, len(train))
    batches = len(train) // batch_size
    total = settings.epochs * batches
    # The student gets other augmentations than those its teachers were trained on.
    purpose = f"{'distill' if ensemble else 'finetune'} {settings.repeat}"

    def train_step(iteration: int) -> dict[str, Tensor]:
        trainer.optimizer.learning_rate = cosine_learning_rate(
            settings.learning_rate, settings.final_learning_rate, iteration, total
        )
        epoch, number = divmod(iteration, batches)
        order = epoch_order(len(train), run.seed, purpose, epoch)
        positions = order[number * batch_size : (number + 1) * batch_size]
        images, labels = train.batch(positions)
        generator = stream(run.seed, purpose, "augment", iteration)
        varied = vary(images.float(), draw_variation(settings.augment, generator, batch_size))
        faces = varied.round().to(torch.uint8)
        sizes = draw_sizes(settings.sizes, scales, generator, batch_size)
        degradations = None
        if any(astuple(settings.degradations)):  # else nothing is drawn for them
            degradations = draw_degradations(settings.degradations, generator, batch_size)
        small = torch.from_numpy(degrade(faces.numpy(), sizes, downsampling, degradations))
        return trainer.train_step(
            standardise(small.to(run.device)),
            labels.to(run.device),
            train.targets(positions, settings.soft_targets).to(run.device),
            standardise(faces.to(run.device)) if settings.teacher.weight > 0 else None,
            teacher_weights(sizes, settings.teacher.fades_at_pixels).to(run.device),
        )

    def validated(means: dict[str, float]) -> dict[str, float]:
        rate = {"train/learning_rate": trainer.optimizer.learning_rate}
        return rate | validate(trainer.model, held_out, run.device)

    fit(
        trainer.model,
        trainer.state,
        train_step,
        validated,
        score=f"validation/{settings.selection}",
        schedule=Schedule(settings.epochs, settings.validation_every, unit=batches),
        run=run,
    )
    return trainer.model
