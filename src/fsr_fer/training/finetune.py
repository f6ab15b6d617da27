"""The pretrained extractor trained further on faces of all sizes.

In ``self_distillation`` the prediction for the full-size face teaches that for the small one.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fsr_fer.common.distributed import require_one_process
from fsr_fer.common.random_streams import epoch_order, stream
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.predictions import HR
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.resize import imresize
from fsr_fer.training.augmentation import draw_variation, vary
from fsr_fer.training.fit import Run, Schedule, Stateful, fit
from fsr_fer.training.log import accuracies
from fsr_fer.training.optimizer import TensorFlowAdam
from fsr_fer.training.pretrain import classify, update
from fsr_fer.training.settings import FinetuneSettings, SizesSettings

ADAM_EPSILON = 1e-5
"""As pretraining's in params.yaml; CovPoolFER's 0.1 is too slow for short trainings."""


def draw_sizes(
    settings: SizesSettings, scales: Sequence[int], generator: torch.Generator, faces: int
) -> Tensor:
    """Sizes, int64 [faces]: 0 full size, 2.. a scale, -8.. that many pixels.

    Scales are equally likely, pixels logarithmically uniform.
    """
    kind = torch.rand(faces, generator=generator)
    scale = torch.tensor(scales)[torch.randint(len(scales), (faces,), generator=generator)]
    reach = math.log((FULL_SIZE + 1) / settings.smallest_pixels)
    place = torch.rand(faces, generator=generator, dtype=torch.float64)
    pixels = (settings.smallest_pixels * (place * reach).exp()).floor().long().clamp_max(FULL_SIZE)
    sizes = torch.where(kind < settings.full_size_share + settings.any_size_share, -pixels, scale)
    return torch.where(kind < settings.full_size_share, 0, sizes)


def degrade(faces: np.ndarray, sizes: Tensor, settings: DownsampleSettings) -> np.ndarray:
    """Faces downsampled and restored, uint8 [B, 100, 100, 3] -> same."""
    degraded = faces.copy()
    for size in sizes.unique().tolist():
        chosen = (sizes == size).numpy()
        if size > 0:
            small = downsample(faces[chosen], size, settings)
            degraded[chosen] = restore(small, size, settings)
        elif size < 0:
            resize = partial(imresize, boundary=settings.boundary)
            small = resize(faces[chosen], output_shape=(-size, -size))
            degraded[chosen] = resize(small, output_shape=(FULL_SIZE, FULL_SIZE))
    return degraded


class FinetuneTrainer:
    """The student, its EMA, the pretrained network and the optimizer; ``kept`` is validated.

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
        self.pretrained = pretrained.to(device).eval().requires_grad_(False)
        self.ema = copy.deepcopy(pretrained)
        self.student = copy.deepcopy(pretrained).train().requires_grad_(True)
        self.kept = self.ema if settings.ema_decay > 0 else self.student
        self.optimizer = TensorFlowAdam(
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
        self, small: Tensor, full: Tensor, labels: Tensor, targets: Tensor | None = None
    ) -> dict[str, Tensor]:
        """One ``update`` from faces small and full-size, standardised [B, 3, H, W].

        ``targets``: probabilities [B, classes] in place of the labels, for cross-entropy alone.
        """
        features = self.student.extractor(small)
        embedding, logits = self.student.classifier(features)
        # Logit adjustment: the classes' frequencies are added in training alone.
        adjusted = logits + self.settings.class_balance * self.log_shares
        cross_entropy = functional.cross_entropy(
            adjusted,
            labels if targets is None else targets,
            label_smoothing=self.settings.label_smoothing,
        )
        terms = {"train/cross_entropy": cross_entropy}
        terms |= self._teacher_terms(features, embedding, logits, full)
        loss = torch.stack(list(terms.values())).sum()
        terms = update(self.student, self.optimizer, loss, terms, logits, labels)
        self._update_ema()
        return terms

    def _teacher_terms(
        self, features: Tensor, embedding: Tensor, logits: Tensor, full: Tensor
    ) -> dict[str, Tensor]:
        """Weighted distances to the teacher, who sees the full-size faces."""
        settings, terms = self.settings.teacher, {}
        if settings.network == "none":
            return {}
        teacher = self.ema if settings.network == "ema" else self.pretrained
        with torch.no_grad():
            target = teacher.extractor(full)
            target_embedding, target_logits = teacher.classifier(target)
        if settings.logits_weight > 0:
            temperature = settings.temperature
            divergence = functional.kl_div(
                (logits / temperature).log_softmax(dim=1),
                (target_logits / temperature).log_softmax(dim=1),
                log_target=True,
                reduction="batchmean",
            )
            terms["train/teacher_logits"] = settings.logits_weight * temperature**2 * divergence
        if settings.embedding_weight > 0:
            distance = (embedding - target_embedding).square().mean()
            terms["train/teacher_embedding"] = settings.embedding_weight * distance
        if settings.features_weight > 0:
            distance = (features - target).square().mean()
            terms["train/teacher_features"] = settings.features_weight * distance
        return terms

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Move the EMA towards the student; its BiMap stays orthonormal."""
        if self.settings.ema_decay == 0:
            return
        ema, student = (list(n.state_dict().values()) for n in (self.ema, self.student))
        torch._foreach_lerp_(ema, student, 1 - self.settings.ema_decay)
        self.ema.extractor.bimap.retract()


def validate(
    network: CovPoolFER, held_out: Mapping[str, LabelledFaces], device: torch.device
) -> dict[str, float]:
    """``accuracies`` of the same faces by size ("hr", "x2", ...), and the mean of both kinds."""
    predicted = {size: classify(network, faces, device) for size, faces in held_out.items()}
    values = accuracies(held_out[HR].labels, predicted)
    both = values["validation/total_accuracy"] + values["validation/mean_class_accuracy"]
    return values | {"validation/both": both / 2}


def cosine_learning_rate(initial: float, final: float, position: int, total: int) -> float:
    """From ``initial`` at position 0 to ``final`` at ``total``, along half a cosine."""
    return final + (initial - final) * (1 + math.cos(math.pi * position / total)) / 2


def finetune(
    pretrained: CovPoolFER,
    train: LabelledFaces,
    validation: LabelledFaces,
    settings: FinetuneSettings,
    downsampling: DownsampleSettings,
    scales: Sequence[int],
    run: Run,
) -> CovPoolFER:
    """Train a copy of ``pretrained``; returned is the best on validation.

    Raises:
        UserError: the training diverged, or torchrun has started several processes.
    """
    require_one_process()
    classes = pretrained.classifier.logits.out_features
    shares = np.bincount(train.labels, minlength=classes) / len(train)
    log_shares = torch.from_numpy(np.log(np.maximum(shares, 1 / len(train)))).float()
    trainer = FinetuneTrainer(settings, pretrained, log_shares, run.device)
    rows, held_out = np.arange(len(validation)), {HR: validation}
    full = np.ascontiguousarray(validation.images[validation.rows])
    for scale in scales:
        restored = restore(downsample(full, scale, downsampling), scale, downsampling)
        held_out[f"x{scale}"] = LabelledFaces(restored, rows, validation.labels)
    batch_size = min(settings.batch_size, len(train))
    batches = len(train) // batch_size
    total = settings.epochs * batches
    purpose = f"finetune {settings.repeat}"

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
        small = torch.from_numpy(degrade(faces.numpy(), sizes, downsampling))
        return trainer.train_step(
            standardise(small.to(run.device)),
            standardise(faces.to(run.device)),
            labels.to(run.device),
            train.targets(positions, settings.soft_targets).to(run.device),
        )

    def validated(means: dict[str, float]) -> dict[str, float]:
        rate = {"train/learning_rate": trainer.optimizer.learning_rate}
        return rate | validate(trainer.kept, held_out, run.device)

    fit(
        trainer.kept,
        trainer.state,
        train_step,
        validated,
        score=f"validation/{settings.selection}",
        schedule=Schedule(settings.epochs, settings.validation_every, unit=batches),
        run=run,
    )
    return trainer.kept
