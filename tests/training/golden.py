"""A few steps of each training on fixed tiny input, as numbers to compare with: golden.json.

    python -m tests.training.golden

writes them anew, which is right only after a change that was meant to change them.

All is computed in float64, from torch's own draws. What is left to machines, and to how many
processes share a batch, is the order of sums: about 1e-15 relative per operation, which a few steps
enlarge to far less than the tolerance.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fsr_fer.common.distributed import share
from fsr_fer.common.files import write_json
from fsr_fer.common.random_streams import stream
from fsr_fer.training.fsr import Batch
from fsr_fer.training.pretrain import ExtractorTrainer
from tests import sections
from tests.training import test_fsr

GOLDEN = Path(__file__).with_name("golden.json")
TOLERANCE = 1e-7
"""Relative; float32 arithmetic anywhere would miss it, rounding in float64 does not."""
CPU, DIM, CLASSES, FACES, STEPS = torch.device("cpu"), 8, 3, 7, 4

Numbers = dict[str, float]


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """All networks and tensors made inside hold float64."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def summary(tensors: dict[str, Tensor]) -> Numbers:
    """Each as its dot product with random numbers: a change of any entry shows."""
    found = {}
    for name, tensor in tensors.items():
        factors = torch.randn(tensor.shape, generator=stream(0, name))
        found[name] = float((tensor.detach() * factors).sum())
    return found


def numbers(terms: dict[str, Tensor]) -> Numbers:
    """The terms of a step, to be written."""
    return {name: float(value) for name, value in terms.items()}


def pretrain_steps() -> dict[str, Any]:
    """CovPoolFER: terms of each step, weights and statistics after the last one."""
    own = share(FACES)
    settings = sections.pretrain(learning_rate=0.02, weight_decay=0.05, batch_size=FACES)
    trainer = ExtractorTrainer(settings, CLASSES, seed=0, device=CPU)
    labels = torch.arange(FACES) % CLASSES
    steps = []
    for step in range(STEPS):
        faces = torch.randn(FACES, 3, 48, 48, generator=stream(0, "faces", step))
        steps.append(numbers(trainer.train_step(faces[own], labels[own])))
    weights = trainer.network.state_dict() | trainer.center_loss.state_dict()
    return {"steps": steps, "weights": summary(weights)}


def fsr_steps(reading: str) -> dict[str, Any]:
    """G and D: terms of each step and both players' weights after the last one."""
    released = reading == "released"
    affine = {"channel_affine": released, "tail_kernel": 8 if released else 3, "init_scale": 1.0}
    settings = sections.fsr(
        generator=sections.generator(**affine),
        discriminator=sections.discriminator(bias=not released),
        learning_rate=1e-3,
    )
    variant = {
        "plain": {},
        "reweighted": {"reweight": sections.reweight()},
        "released": {
            "losses": sections.losses(perceptual_weight=10.0, feature_l2_weight=0.01),
            "reweight": sections.reweight(r=2.0, detach=False, discriminator=True),
        },
    }[reading]
    trainer = test_fsr.trainer(settings, **variant)
    own = share(FACES)
    labels = torch.arange(FACES) % CLASSES
    steps = []
    for step in range(STEPS):
        generator = stream(0, "features", step)
        lr, hr = torch.randn(2, FACES, 1, DIM, DIM, generator=generator)
        interpolation = torch.rand(1, FACES, generator=generator)
        batch = Batch(lr[own], hr[own], labels[own], interpolation[:, own])
        if released and step == 0:
            steps.append(numbers(trainer.l2_step(batch)))
        steps.append(numbers(trainer.train_step(batch, diagnose=step == 0)))
    return {
        "steps": steps,
        "generator": summary(trainer.generator.state_dict()),
        "discriminator": summary(trainer.discriminator.state_dict()),
    }


def all_steps() -> dict[str, Any]:
    """Everything that golden.json holds."""
    with float64():
        return {"pretrain": pretrain_steps()} | {
            f"fsr {reading}": fsr_steps(reading) for reading in ("plain", "reweighted", "released")
        }


if __name__ == "__main__":
    write_json(GOLDEN, all_steps())
