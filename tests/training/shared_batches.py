"""Trainings in one process or as one of several, for ``test_parallel``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fsr_fer.distributed import Ranks, join_ranks
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.training.checkpoint import Checkpoint, prefixed
from fsr_fer.training.fsr import FsrTrainer, train_fsr
from fsr_fer.training.pretrain import ExtractorTrainer, train_extractor
from tests import sections
from tests.training.test_fsr import classifier, pairs
from tests.training.test_pretrain import faces

STEPS, DIM, CLASSES, CPU = 20, 8, 3, torch.device("cpu")
REWEIGHTED = {"detach": False, "discriminator": True, "r": 2.0}


def pretrained(ranks: Ranks, batch: int) -> dict[str, Tensor]:
    """Normalisation, centers and the Stiefel manifold included."""
    trainer = ExtractorTrainer(sections.pretrain(), CLASSES, 1, CPU, ranks)
    own = ranks.share(batch)
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        faces = torch.randn(batch, 3, 16, 16, generator=generator)
        labels = torch.randint(CLASSES, (batch,), generator=generator)
        trainer.step(faces[own], labels[own], step=step, total=batch)
    return trainer.tensors()


def generated(ranks: Ranks, batch: int, steps_of_d: int, reweighted: bool) -> dict[str, Tensor]:
    """Penalty, re-weighting and the L2 phase included."""
    torch.manual_seed(5)
    trainer = FsrTrainer(
        sections.fsr(learning_rate=1e-2, discriminator_steps=steps_of_d),
        sections.losses(),
        sections.reweight(**REWEIGHTED) if reweighted else None,
        CovPoolFER(sections.extractor(), CLASSES).classifier,
        feature_dim=DIM,
        seed=1,
        device=CPU,
        ranks=ranks,
    )
    own = ranks.share(batch)
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        lr, hr = torch.randn(2, batch, 1, DIM, DIM, generator=generator)
        labels = torch.randint(CLASSES, (batch,), generator=generator)
        mixes = torch.rand(steps_of_d, batch, generator=generator)
        if step < 2:
            trainer.advance_l2(lr[own], hr[own], total=batch)
        else:
            terms = trainer.advance(
                lr[own], hr[own], labels[own], mixes[:, own], diagnose=True, total=batch
            )
    return trainer.tensors() | prefixed("terms", dict(zip(terms.names, terms.values, strict=True)))


def trained(ranks: Ranks) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Everything under test; batches of odd sizes fall into unequal parts."""
    torch.set_default_dtype(torch.float64)
    try:
        yield "pretrain 8", pretrained(ranks, 8)
        yield "pretrain 7", pretrained(ranks, 7)
        yield "plain 4", generated(ranks, 4, 1, reweighted=False)
        yield "reweighted 5", generated(ranks, 5, 2, reweighted=True)
    finally:
        torch.set_default_dtype(torch.float32)


def part_of_fsr(ranks: Ranks, folder: Path, iterations: int) -> dict[str, Tensor]:
    """A training in float32 as far as ``iterations``, from what is in ``folder``."""
    network = train_fsr(
        pairs(12),
        pairs(9),
        classifier(),  # type: ignore[arg-type]
        sections.fsr(iterations=iterations, learning_rate=1e-2),
        sections.losses(),
        sections.reweight(),
        seed=4,
        device=CPU,
        checkpoint=Checkpoint(folder),
        ranks=ranks,
    )
    return network.state_dict()


def part_of_pretrain(ranks: Ranks, folder: Path, epochs: int) -> dict[str, Tensor]:
    """A training in float32 as far as ``epochs``, from what is in ``folder``."""
    network = train_extractor(
        faces(24),
        faces(13),
        sections.pretrain(epochs=epochs, batch_size=7),
        num_classes=CLASSES,
        seed=7,
        device=CPU,
        checkpoint=Checkpoint(folder),
        ranks=ranks,
    )
    return network.state_dict()


def main(folder: Path) -> None:
    """Leave the weights of the first process in ``folder``, and go on where others stopped."""
    ranks = join_ranks()
    tensors: dict[str, Tensor] = {}
    for name, found in trained(ranks):
        tensors |= prefixed(name, found)
    tensors |= prefixed("fsr resumed", part_of_fsr(ranks, folder / "fsr by one", 6))
    tensors |= prefixed("pretrain resumed", part_of_pretrain(ranks, folder / "pretrain by one", 1))
    part_of_fsr(ranks, folder / "fsr by two", 2)
    part_of_pretrain(ranks, folder / "pretrain by two", 1)
    if ranks.first:
        copied = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
        save_file(copied, folder / "weights.safetensors")
    ranks.leave()
