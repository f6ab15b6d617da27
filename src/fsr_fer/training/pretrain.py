"""CovPoolFER trained on full-size faces; frozen in ``fsr``, trained further in ``finetune``."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.common.distributed import gather, require_enough, share, weighted, wrap
from fsr_fer.common.random_streams import epoch_order, stream, stream_seed
from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.evaluation.statistics import mean_class_accuracy, total_accuracy
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.training.augmentation import draw_variation, vary
from fsr_fer.training.fit import Run, Schedule, Stateful, fit
from fsr_fer.training.optimizer import TensorFlowAdam, stepped_learning_rate
from fsr_fer.training.settings.augmentation import AugmentSettings
from fsr_fer.training.settings.pretraining import PretrainSettings

HOPELESS = 4.0
"""A cross-entropy that is this far above that of a uniform guess counts as divergence."""


class CenterLoss(nn.Module):
    """Squared distance of each face's embedding to its class's center (Wen et al. 2016).

    Centers are not trained by the optimizer; ``move`` updates them.
    """

    centers: Tensor

    def __init__(self, num_classes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.zeros(num_classes, dim))

    def forward(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """Mean over the batch [B, dim] and the dimensions, a scalar."""
        return (embedding - self.centers[labels]).square().mean()

    @torch.no_grad()
    def move(self, embedding: Tensor, labels: Tensor, rate: float) -> None:
        """Move each class center towards its faces' embeddings.

        Each face in turn moves it by ``rate`` of the way to their mean. The original adds all
        moves up, which overshoots if a class has more than 2 / rate faces in a batch.
        """
        for label in labels.unique():
            members = embedding[labels == label]
            part = 1 - (1 - rate) ** len(members)
            self.centers[label] += part * (members.mean(dim=0) - self.centers[label])


def update(
    network: FaceClassifier,
    optimizer: TensorFlowAdam,
    loss: Tensor,
    terms: dict[str, Tensor],
    logits: Tensor,
    labels: Tensor,
) -> dict[str, Tensor]:
    """A ``step_if_finite`` on ``loss``; returns ``terms``, accuracy in percent, gradient norm."""
    correct = (logits.argmax(dim=1) == labels).float().mean()
    terms = terms | {"train/accuracy": correct.double() * 100}
    optimizer.zero_grad()
    weighted(loss, len(labels)).backward()
    network.project_gradient()
    terms = optimizer.step_if_finite(terms, "train", len(labels))
    network.retract()
    return terms


class ExtractorTrainer:
    """CovPoolFER, its class centers and its optimizer; ``train_step`` does one update."""

    def __init__(
        self, settings: PretrainSettings, num_classes: int, seed: int, device: torch.device
    ) -> None:
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "pretrain", "weights"))
            self.network = CovPoolFER(settings.extractor, num_classes)
        self.network.to(device).train()
        self.center_loss = CenterLoss(num_classes, settings.extractor.embedding_dim).to(device)
        self.optimizer = TensorFlowAdam(
            self.network,
            learning_rate=settings.learning_rate,
            epsilon=settings.adam_epsilon,
            weight_decay=settings.weight_decay,
        )
        self.state: dict[str, Stateful] = {
            "network": self.network,
            "center_loss": self.center_loss,
            "optimizer": self.optimizer,
        }
        self._wrapped = wrap(self.network)

    def train_step(
        self, faces: Tensor, labels: Tensor, targets: Tensor | None = None
    ) -> dict[str, Tensor]:
        """One ``update`` from this process's standardised faces [B, 3, H, W], labels int64 [B].

        ``targets``: probabilities [B, classes] in place of the labels, for cross-entropy alone.
        """
        embedding, logits = self._wrapped(faces)
        cross_entropy = functional.cross_entropy(logits, labels if targets is None else targets)
        center = self.center_loss(embedding, labels)
        terms = {"train/cross_entropy": cross_entropy, "train/center": center}
        loss = cross_entropy + self.settings.center_loss_weight * center
        terms = update(self.network, self.optimizer, loss, terms, logits, labels)
        self.center_loss.move(gather(embedding), gather(labels), self.settings.center_rate)
        return terms


@torch.no_grad()
def classify(network: FaceClassifier, faces: LabelledFaces, device: torch.device) -> np.ndarray:
    """Predicted class of every face of a split, int64 [N], by a network in eval mode."""
    predicted = []
    for positions in torch.arange(len(faces)).split(128):
        images, _ = faces.batch(positions)
        logits = network.logits(standardise(images.to(device)))
        predicted.append(logits.argmax(dim=1).cpu().numpy())
    return np.concatenate(predicted)


def train_extractor(
    train: LabelledFaces,
    validation: LabelledFaces,
    settings: PretrainSettings,
    num_classes: int,
    run: Run,
) -> CovPoolFER:
    """Train CovPoolFER and return it as it was at the epoch best on the validation faces.

    UserError if the training diverged, or there are more processes than faces in a batch or for
    validation.
    """
    batch_size = min(settings.batch_size, len(train))
    require_enough(min(batch_size, len(validation)))
    trainer = ExtractorTrainer(settings, num_classes, run.seed, run.device)
    network, optimizer = trainer.network, trainer.optimizer
    batches = len(train) // batch_size
    own, held_out = share(batch_size), validation.take(share(len(validation)))
    augment = AugmentSettings(
        rotation_degrees=settings.rotation_degrees,
        flip=settings.flip,
        zoom=0.0,
        shift_pixels=0.0,
        hidden_share=0.0,
    )

    def train_step(iteration: int) -> dict[str, Tensor]:
        epoch, number = divmod(iteration, batches)
        optimizer.learning_rate = stepped_learning_rate(settings, epoch)
        order = epoch_order(len(train), run.seed, "pretrain", epoch)
        positions = order[number * batch_size : (number + 1) * batch_size]
        images, labels = train.batch(positions[own])
        generator = stream(run.seed, "pretrain", "augment", iteration)
        variation = draw_variation(augment, generator, batch_size).of(own)
        varied = vary(images.to(run.device, torch.float32), variation)
        targets = train.targets(positions[own], settings.soft_targets).to(run.device)
        return trainer.train_step(standardise(varied), labels.to(run.device), targets)

    def validate(means: dict[str, float]) -> dict[str, float]:
        cross_entropy, guess = means["train/cross_entropy"], math.log(num_classes)
        if cross_entropy > guess + HOPELESS:
            raise FloatingPointError(
                f"train/cross_entropy = {cross_entropy:.3g} on average, a guess has {guess:.3g}"
            )
        predicted = gather(torch.from_numpy(classify(network, held_out, run.device))).numpy()
        return {
            "train/learning_rate": optimizer.learning_rate,
            "validation/total_accuracy": total_accuracy(validation.labels, predicted),
            "validation/mean_class_accuracy": mean_class_accuracy(validation.labels, predicted),
        }

    fit(
        network,
        trainer.state,
        train_step,
        validate,
        score=f"validation/{settings.selection}",
        schedule=Schedule(settings.epochs, validation_every=1, unit=batches),
        run=run,
        # Divided before summed: keeps the last digits of the recorded curves.
        mean=lambda values: sum(value / len(values) for value in values),
    )
    return network
