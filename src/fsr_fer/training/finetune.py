"""The pretrained extractor taught to read faces of all sizes itself: no generator, no extra cost.

The paper restores the features of a small face behind a frozen extractor. Here the extractor itself
goes on to learn, from faces of all sizes. ``mixed_resolution`` is what a practitioner would try
first; ``best`` adds feature super-resolution's idea, that the answer to the full-size face teaches
the one to the small face. Both are this one training with other settings.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.data.manifest import IMAGE_SIZE
from fsr_fer.downsampling import downsample, restore
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.predictions import HR
from fsr_fer.progress import Track, quiet
from fsr_fer.randomness import EpochOrder, stream
from fsr_fer.resize import imresize
from fsr_fer.settings import DownsampleSettings, FinetuneSettings, SizesSettings
from fsr_fer.statistics import mean_class_accuracy, total_accuracy
from fsr_fer.training.augmentation import draw_variation, vary
from fsr_fer.training.checkpoint import Checkpoint, prefixed, unprefixed
from fsr_fer.training.optimizer import decaying_adam
from fsr_fer.training.pretrain import LabelledFaces, classify
from fsr_fer.training.record import (
    Means,
    Recorder,
    divergence_told,
    no_record,
    require_finite,
)
from fsr_fer.training.selection import Selection


def draw_sizes(
    settings: SizesSettings, scales: Sequence[int], generator: torch.Generator, faces: int
) -> Tensor:
    """How small each face is made, int64 [faces]: 0 full size, 2.. a scale, -8.. that many pixels.

    Scales are equally likely, pixels logarithmically uniform.
    """
    kind = torch.rand(faces, generator=generator)
    scale = torch.tensor(scales)[torch.randint(len(scales), (faces,), generator=generator)]
    reach = math.log((IMAGE_SIZE + 1) / settings.smallest_pixels)
    place = torch.rand(faces, generator=generator, dtype=torch.float64)
    pixels = (settings.smallest_pixels * (place * reach).exp()).floor().long().clamp_max(IMAGE_SIZE)
    sizes = torch.where(kind < settings.full_size_share + settings.any_size_share, -pixels, scale)
    return torch.where(kind < settings.full_size_share, 0, sizes)


def make_small(faces: np.ndarray, sizes: Tensor, settings: DownsampleSettings) -> np.ndarray:
    """Each face made small and put back, uint8 [B, 100, 100, 3] -> same; ``sizes`` as drawn."""
    seen = faces.copy()
    for size in sizes.unique().tolist():
        chosen = (sizes == size).numpy()
        if size > 0:
            small = downsample(faces[chosen], size, settings)
            seen[chosen] = restore(small, size, settings)
        elif size < 0:
            small = imresize(faces[chosen], output_shape=(-size, -size), boundary=settings.boundary)
            full = (IMAGE_SIZE, IMAGE_SIZE)
            seen[chosen] = imresize(small, output_shape=full, boundary=settings.boundary)
    return seen


class FinetuneTrainer:
    """The learner, its average, its teacher and its optimiser; ``step`` does one update.

    ``log_shares`` [classes] are the logarithms of the classes' shares of the train faces.
    """

    def __init__(
        self,
        settings: FinetuneSettings,
        pretrained: CovPoolFER,
        log_shares: Tensor,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.log_shares = log_shares.to(device)
        self.network = copy.deepcopy(pretrained).to(device).train().requires_grad_(True)
        self.average = _frozen(pretrained, device)
        self.pretrained = _frozen(pretrained, device)
        self.optimizer = decaying_adam(
            self.network.parameters(), self.network.decayed_weights(), settings
        )

    @property
    def kept(self) -> CovPoolFER:
        """The network that is validated and kept."""
        return self.average if self.settings.average_decay > 0 else self.network

    def step(
        self, small: Tensor, full: Tensor, labels: Tensor, *, step: int = 0
    ) -> dict[str, float]:
        """One update from the same faces as seen small and at full size, [B, 3, H, W] standardised.

        Raises:
            UserError: a loss or the gradient is not finite; nothing was updated.
        """
        with divergence_told(step=step, kind="step"):
            features = self.network.extractor(small)
        embedding, logits = self.network.classifier(features)
        adjusted = logits + self.settings.class_balance * self.log_shares
        parts = {
            "cross_entropy": functional.cross_entropy(
                adjusted, labels, label_smoothing=self.settings.label_smoothing
            )
        }
        parts |= self._teacher_terms(features, embedding, logits, full)
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad()
        loss.backward()
        bimap = self.network.extractor.bimap
        bimap.project_gradient()
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        values = {f"train/{name}": float(part.detach()) for name, part in parts.items()} | {
            "train/gradient_norm": float(torch.nn.utils.get_total_norm(gradients)),
            "train/accuracy": float((logits.argmax(dim=1) == labels).float().mean()) * 100,
        }
        require_finite(values, step=step, kind="step")
        self.optimizer.step()
        bimap.retract()
        self._move_average()
        return values

    def _teacher_terms(
        self, features: Tensor, embedding: Tensor, logits: Tensor, full: Tensor
    ) -> dict[str, Tensor]:
        """What the answer to the full-size faces asks of the one to the small faces, weighted."""
        settings, parts = self.settings.teacher, {}
        if settings.network == "none":
            return {}
        teacher = self.average if settings.network == "average" else self.pretrained
        with torch.no_grad():
            taught = teacher.extractor(full)
            taught_embedding, taught_logits = teacher.classifier(taught)
        if settings.logits_weight > 0:
            temperature = settings.temperature
            divergence = functional.kl_div(
                (logits / temperature).log_softmax(dim=1),
                (taught_logits / temperature).log_softmax(dim=1),
                log_target=True,
                reduction="batchmean",
            )
            parts["teacher_logits"] = settings.logits_weight * temperature**2 * divergence
        if settings.embedding_weight > 0:
            distance = (embedding - taught_embedding).square().mean()
            parts["teacher_embedding"] = settings.embedding_weight * distance
        if settings.features_weight > 0:
            distance = (features - taught).square().mean()
            parts["teacher_features"] = settings.features_weight * distance
        return parts

    @torch.no_grad()
    def _move_average(self) -> None:
        """Move the average towards the learner; its BiMap stays orthonormal."""
        if self.settings.average_decay == 0:
            return
        share = 1 - self.settings.average_decay
        pairs = zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        averages, learned = zip(*pairs, strict=True)
        torch._foreach_lerp_(list(averages), list(learned), share)
        self.average.extractor.bimap.retract()

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""
        return (
            prefixed("network", self.network.state_dict())
            | prefixed("average", self.average.state_dict())
            | prefixed("optimizer", self.optimizer.state_tensors())
        )

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Bring back a state that ``tensors`` gave."""
        self.network.load_state_dict(unprefixed("network", tensors))
        self.average.load_state_dict(unprefixed("average", tensors))
        self.optimizer.load_state_tensors(unprefixed("optimizer", tensors))


def _frozen(network: CovPoolFER, device: torch.device) -> CovPoolFER:
    return copy.deepcopy(network).to(device).eval().requires_grad_(False)


def faces_at_all_sizes(
    faces: LabelledFaces, scales: Sequence[int], settings: DownsampleSettings
) -> dict[str, np.ndarray]:
    """All faces of a split at full size ("hr") and made small by each scale and put back ("x2")."""
    full = np.ascontiguousarray(faces.images[faces.rows])
    return {HR: full} | {
        f"x{scale}": restore(downsample(full, scale, settings), scale, settings) for scale in scales
    }


def validate(
    network: CovPoolFER,
    pictures: Mapping[str, np.ndarray],
    labels: np.ndarray,
    device: torch.device,
) -> dict[str, float]:
    """Accuracies in percent on held-out faces: total at each size, both kinds' mean over scales."""
    training = network.training
    values, class_means = {}, []
    everyone = np.arange(len(labels))
    for name, images in pictures.items():
        answers = classify(network, LabelledFaces(images, everyone, labels), device)
        values[f"validation/{name}"] = total_accuracy(labels, answers)
        if name != HR:
            class_means.append(mean_class_accuracy(labels, answers))
    network.train(training)
    totals = [value for name, value in values.items() if name != f"validation/{HR}"]
    total, class_mean = sum(totals) / len(totals), sum(class_means) / len(class_means)
    return values | {
        "validation/total_accuracy": total,
        "validation/mean_class_accuracy": class_mean,
        "validation/both": (total + class_mean) / 2,
    }


def cosine_learning_rate(initial: float, final: float, position: int, total: int) -> float:
    """From ``initial`` at position 0 to ``final`` at ``total``, along half a cosine."""
    return final + (initial - final) * (1 + math.cos(math.pi * position / total)) / 2


def finetune(
    pretrained: CovPoolFER,
    train: LabelledFaces,
    validation: LabelledFaces,
    settings: FinetuneSettings,
    downsampling: DownsampleSettings,
    *,
    scales: Sequence[int],
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint,
    track: Track = quiet,
    record: Recorder = no_record,
    task: str = "finetune",
) -> CovPoolFER:
    """Teach a copy of ``pretrained`` faces of all sizes; the best on the validation faces is kept.

    ``checkpoint`` is saved at every validation and resumed from; the result is the same either way.
    """
    classes = pretrained.classifier.logits.out_features
    shares = np.bincount(train.labels, minlength=classes) / len(train)
    log_shares = torch.from_numpy(np.log(np.maximum(shares, 1 / len(train)))).float()
    trainer = FinetuneTrainer(settings, pretrained, log_shares, device)
    selection = Selection(trainer, trainer.kept, checkpoint, record)
    pictures = faces_at_all_sizes(validation, scales, downsampling)
    batch_size = min(settings.batch_size, len(train))
    batches = len(train) // batch_size
    first, total = selection.done * batches, settings.epochs * batches
    order = EpochOrder(len(train), seed, f"finetune {settings.repeat}")
    means = Means()
    for step in track(range(first, total), total=total, task=task, done=first):
        epoch, number = divmod(step, batches)
        rate = cosine_learning_rate(
            settings.learning_rate, settings.final_learning_rate, step, total
        )
        trainer.optimizer.set_learning_rate(rate)
        positions = order.epoch(epoch)[number * batch_size : (number + 1) * batch_size]
        generator = stream(seed, f"finetune {settings.repeat}", "augment", step)
        images, labels = train.batch(positions)
        full = vary(images.float(), draw_variation(settings.augment, generator, len(images)))
        faces = full.round().to(torch.uint8).numpy()
        sizes = draw_sizes(settings.sizes, scales, generator, len(images))
        small = torch.from_numpy(make_small(faces, sizes, downsampling))
        values = trainer.step(
            standardise(small.to(device)),
            standardise(torch.from_numpy(faces).to(device)),
            labels.to(device),
            step=step,
        )
        means.add(values)
        done = epoch + 1
        if number + 1 < batches or (done % settings.validation_every and done < settings.epochs):
            continue
        measured = validate(trainer.kept, pictures, validation.labels, device)
        rates = {"train/learning_rate": rate}
        selection.keep(
            done, means.take() | rates | measured, measured[f"validation/{settings.selection}"]
        )
    selection.finish()
    return trainer.kept
