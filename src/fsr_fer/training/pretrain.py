"""CovPoolFER trained on full-size faces (MODELS section 1); it is frozen ever after."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.data.manifest import Manifest
from fsr_fer.distributed import ALONE, Ranks
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.progress import Track, quiet
from fsr_fer.randomness import EpochOrder, stream, stream_seed
from fsr_fer.settings import PretrainSettings
from fsr_fer.statistics import mean_class_accuracy, total_accuracy
from fsr_fer.training.augmentation import Variation, vary
from fsr_fer.training.checkpoint import Checkpoint, prefixed, unprefixed
from fsr_fer.training.optimizer import decaying_adam, stepped_learning_rate
from fsr_fer.training.parallel import gathered, mean_over_all, parallel, require_enough, weighed
from fsr_fer.training.record import (
    Recorder,
    divergence_told,
    no_record,
    require_finite,
    require_sense,
)
from fsr_fer.training.selection import Selection


@dataclass(frozen=True)
class LabelledFaces:
    """Faces of one split: ``images`` uint8 [N, 100, 100, 3] (may lie on disk), some of its rows."""

    images: np.ndarray
    rows: np.ndarray  # int64, positions in images
    labels: np.ndarray  # int64, one per row

    @staticmethod
    def of(images: np.ndarray, manifest: Manifest, split: str) -> LabelledFaces:
        """Those of one split, of the images of a whole manifest."""
        rows = manifest.rows(split)
        return LabelledFaces(images, rows, manifest.labels[rows])

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [B, 100, 100, 3] and labels int64 [B] at these positions of the split."""
        chosen = positions.numpy()
        images = torch.from_numpy(np.ascontiguousarray(self.images[self.rows[chosen]]))
        return images, torch.from_numpy(self.labels[chosen])


def augment(images: Tensor, angles: Tensor, flips: Tensor) -> Tensor:
    """Rotate about the centre and mirror: float [B, H, W, 3] -> same, black where nothing was.

    ``angles`` in radians, counter-clockwise as seen, [B]; ``flips`` bool [B]. Bicubic, same canvas.
    """
    return vary(images, Variation.turned(angles, flips))


class ExtractorTrainer:
    """CovPoolFER, its optimiser and its class centers; ``step`` does one update."""

    def __init__(
        self,
        settings: PretrainSettings,
        num_classes: int,
        seed: int,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.settings, self.device, self.ranks = settings, device, ranks
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "pretrain", "weights"))
            self.network = CovPoolFER(settings.extractor, num_classes)
        self.network.to(device).train()
        self.centers = torch.zeros(num_classes, settings.extractor.embedding_dim, device=device)
        self.optimizer = decaying_adam(
            self.network.parameters(), self.network.decayed_weights(), settings
        )
        self._network_of_all = parallel(self.network, ranks)

    def step(
        self, faces: Tensor, labels: Tensor, *, step: int = 0, total: int | None = None
    ) -> dict[str, float]:
        """One update from standardised faces [B, 3, H, W] and labels int64 [B].

        Where several processes share a batch these are the faces of this one; ``total`` are all.

        Raises:
            UserError: a loss or the gradient is not finite; nothing was updated.
        """
        settings, ranks, own = self.settings, self.ranks, len(labels)
        total = own if total is None else total
        with divergence_told(step=step, kind="step"):
            embedding, logits = self._network_of_all(faces)
        cross_entropy = functional.cross_entropy(logits, labels)
        center = (embedding - self.centers[labels]).square().mean()
        loss = cross_entropy + settings.center_loss_weight * center
        self.optimizer.zero_grad()
        weighed(loss, own, total, ranks).backward()
        bimap = self.network.extractor.bimap
        bimap.project_gradient()
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        right = (logits.argmax(dim=1) == labels).float().mean()
        means = torch.stack([cross_entropy.detach(), center.detach(), right.to(loss)])
        norm = torch.nn.utils.get_total_norm(gradients)
        numbers = torch.cat([mean_over_all(means, own, total, ranks), norm[None]]).tolist()
        values = {
            "train/cross_entropy": numbers[0],
            "train/center": numbers[1],
            "train/gradient_norm": numbers[3],
            "train/accuracy": numbers[2] * 100,
        }
        require_finite(values, step=step, kind="step")
        self.optimizer.step()
        bimap.retract()
        everyone = gathered(embedding.detach(), total, ranks)
        everyones_labels = gathered(labels, total, ranks)
        move_centers(self.centers, everyone, everyones_labels, settings.center_rate)
        return values

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""
        return (
            prefixed("network", self.network.state_dict())
            | prefixed("optimizer", self.optimizer.state_tensors())
            | {"centers": self.centers}
        )

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Bring back a state that ``tensors`` gave."""
        self.network.load_state_dict(unprefixed("network", tensors))
        self.optimizer.load_state_tensors(unprefixed("optimizer", tensors))
        self.centers.copy_(tensors["centers"])


@torch.no_grad()
def move_centers(centers: Tensor, embedding: Tensor, labels: Tensor, rate: float) -> None:
    """Move each class center towards its faces' embeddings, in place.

    As if each face of the batch moved it by ``rate`` of the way to their mean, one after another.
    The original adds all moves up at once, which overshoots without bound as soon as a class
    fills more than 2 / rate places of a batch (20 of 128 at the published 0.1).
    """
    for label in labels.unique():
        members = embedding[labels == label]
        share = 1 - (1 - rate) ** len(members)
        centers[label] += share * (members.mean(dim=0) - centers[label])


@torch.no_grad()
def classify(network: CovPoolFER, faces: LabelledFaces, device: torch.device) -> np.ndarray:
    """Predicted class of every face of a split, int64 [N]; the network is left in eval mode."""
    network.eval()
    predicted = []
    for positions in torch.arange(len(faces)).split(128):
        images, _ = faces.batch(positions)
        _, logits = network(standardise(images.to(device)))
        predicted.append(logits.argmax(dim=1).cpu().numpy())
    return np.concatenate(predicted)


def train_extractor(
    train: LabelledFaces,
    validation: LabelledFaces,
    settings: PretrainSettings,
    *,
    num_classes: int,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint,
    track: Track = quiet,
    record: Recorder = no_record,
    ranks: Ranks = ALONE,
) -> CovPoolFER:
    """Train CovPoolFER and return it as it was at the epoch best on the validation faces.

    ``checkpoint`` is saved after each epoch and resumed from; the result is the same either way.
    Several processes share each batch and the validation faces; the result is that of one, but for
    rounding.

    Raises:
        UserError: the training diverged, or there are more processes than faces in a batch.
    """
    batch_size = min(settings.batch_size, len(train))
    require_enough(batch_size, ranks)
    trainer = ExtractorTrainer(settings, num_classes, seed, device, ranks)
    selection = Selection(trainer, trainer.network, checkpoint, record, ranks)
    batches = len(train) // batch_size
    first = selection.done * batches
    total = settings.epochs * batches
    order = EpochOrder(len(train), seed, "pretrain")
    sums: dict[str, float] = {}
    for step in track(range(first, total), total=total, task="pretrain", done=first):
        epoch, number = divmod(step, batches)
        rate = stepped_learning_rate(
            settings.learning_rate,
            settings.learning_rate_milestones,
            settings.learning_rate_factor,
            epoch,
        )
        trainer.optimizer.set_learning_rate(rate)
        positions = order.epoch(epoch)[number * batch_size : (number + 1) * batch_size]
        own = ranks.share(batch_size)
        faces, labels = _augmented_batch(train, positions, settings, seed, step, device, own)
        for name, value in trainer.step(faces, labels, step=step, total=batch_size).items():
            sums[name] = sums.get(name, 0.0) + value / batches
        if number + 1 < batches:
            continue
        require_sense(sums["train/cross_entropy"], num_classes, step=epoch + 1, kind="epoch")
        predicted = _classify_shared(trainer.network, validation, device, ranks)
        trainer.network.train()
        values = sums | {
            "train/learning_rate": rate,
            "validation/total_accuracy": total_accuracy(validation.labels, predicted),
            "validation/mean_class_accuracy": mean_class_accuracy(validation.labels, predicted),
        }
        sums = {}
        selection.keep(epoch + 1, values, values[f"validation/{settings.selection}"])
    selection.finish()
    return trainer.network


def _classify_shared(
    network: CovPoolFER, faces: LabelledFaces, device: torch.device, ranks: Ranks
) -> np.ndarray:
    """``classify``, each process a part of the faces; all get the whole."""
    own = ranks.share(len(faces))
    part = LabelledFaces(faces.images, faces.rows[own], faces.labels[own])
    predicted = torch.from_numpy(classify(network, part, device))
    return gathered(predicted, len(faces), ranks).numpy()


def _augmented_batch(
    train: LabelledFaces,
    positions: Tensor,
    settings: PretrainSettings,
    seed: int,
    step: int,
    device: torch.device,
    own: slice,
) -> tuple[Tensor, Tensor]:
    """Standardised faces [B, 3, H, W] and labels, augmented as a function of (seed, step).

    Of the batch at ``positions`` only the part ``own``.
    """
    images, labels = train.batch(positions[own])
    generator = stream(seed, "pretrain", "augment", step)
    turns = torch.rand(len(positions), generator=generator) * 2 - 1
    flips = torch.rand(len(positions), generator=generator) < (0.5 if settings.flip else 0.0)
    angles = turns * math.radians(settings.rotation_degrees)
    turned = angles[own].to(device), flips[own].to(device)
    values = augment(images.to(device, torch.float32), *turned)
    return standardise(values), labels.to(device)
