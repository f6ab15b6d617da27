"""Trainings in one process or as one of several, for ``test_parallel``.

torchrun -m tests.training.shared_batches FOLDER
"""

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fsr_fer.common.distributed import barrier, is_first, share
from fsr_fer.training.checkpoint import Checkpoint, prefixed
from fsr_fer.training.fit import Run, Stateful
from fsr_fer.training.fsr import Batch
from fsr_fer.training.pretrain import ExtractorTrainer
from tests import sections
from tests.training import test_fsr
from tests.training.golden import float64

STEPS, DIM, CLASSES, CPU = 20, 8, 3, torch.device("cpu")


def pretrained(batch: int) -> dict[str, Tensor]:
    """Normalisation, centers and the Stiefel manifold included."""
    trainer = ExtractorTrainer(sections.pretrain(), CLASSES, 1, CPU)
    own = share(batch)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        faces = torch.randn(batch, 3, 16, 16, generator=generator)
        labels = torch.randint(CLASSES, (batch,), generator=generator)
        terms = trainer.train_step(faces[own], labels[own])
    return tensors_of(trainer.state) | prefixed("terms", terms)


def generated(batch: int, steps_of_d: int, reweighted: bool) -> dict[str, Tensor]:
    """Penalty, re-weighting and the L2 phase included."""
    weights = sections.reweight(detach=False, discriminator=True, r=2.0) if reweighted else None
    settings = sections.fsr(learning_rate=1e-2, discriminator_steps=steps_of_d)
    trainer = test_fsr.trainer(settings, reweight=weights)
    own = share(batch)
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        lr, hr = torch.randn(2, batch, 1, DIM, DIM, generator=generator)
        labels = torch.randint(CLASSES, (batch,), generator=generator)
        interpolation = torch.rand(steps_of_d, batch, generator=generator)
        mine = Batch(lr[own], hr[own], labels[own], interpolation[:, own])
        terms = trainer.l2_step(mine) if step < 2 else trainer.train_step(mine, diagnose=True)
    return tensors_of(trainer.state) | prefixed("terms", terms)


def tensors_of(state: dict[str, Stateful]) -> dict[str, Tensor]:
    """All that a checkpoint would hold."""
    parts = ((name, part.state_dict()) for name, part in state.items())
    return {f"{name}.{key}": tensor for name, part in parts for key, tensor in part.items()}


def trained() -> dict[str, Tensor]:
    """Everything under test; batches of odd sizes fall into unequal parts."""
    with float64():
        return (
            prefixed("pretrain 8", pretrained(8))
            | prefixed("pretrain 7", pretrained(7))
            | prefixed("plain 4", generated(4, 1, reweighted=False))
            | prefixed("reweighted 5", generated(5, 2, reweighted=True))
        )


def part_of_fsr(folder: Path, iterations: int) -> dict[str, Tensor]:
    """A training in float32 as far as ``iterations``, from what is in ``folder``."""
    train = test_fsr.training(iterations=iterations, learning_rate=1e-2)
    return train(Run("fsr", 4, CPU, Checkpoint(folder if is_first() else None))).state_dict()


def main(folder: Path) -> None:
    """Leave the weights of the first process in ``folder``, and go on where others stopped."""
    tensors = trained() | prefixed("fsr resumed", part_of_fsr(folder / "fsr by one", 6))
    part_of_fsr(folder / "fsr by two", 2)
    if is_first():
        copied = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
        save_file(copied, folder / "weights.safetensors")
    barrier()
    os._exit(0)  # as stages end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
