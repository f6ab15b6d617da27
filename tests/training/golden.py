"""A few steps of each training on fixed tiny input, as numbers to compare with: golden.json.

    python -m tests.training.golden

writes them anew, which is right only after a change that was meant to change them.

Input and first weights are whole-number arithmetic and all is computed in float64, so no random
generator and no machine's float32 kernels are in the numbers. What is left is the order of sums:
about 1e-15 relative per operation, which a few steps enlarge to far less than the tolerance.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fsr_fer.common.files import write_json
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.spd import BiMap, orthonormal
from fsr_fer.training.fsr import Batch, FsrTrainer
from fsr_fer.training.pretrain import ExtractorTrainer
from tests import sections
from tests.training.test_fsr import variant

GOLDEN = Path(__file__).with_name("golden.json")
TOLERANCE = 1e-7
"""Relative; float32 arithmetic anywhere would miss it, rounding in float64 does not."""
CPU, DIM, CLASSES, FACES, STEPS = torch.device("cpu"), 8, 3, 6, 4

Numbers = dict[str, float]


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """All networks and tensors made inside hold float64."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def scattered(shape: tuple[int, ...] | torch.Size, salt: int) -> Tensor:
    """Values from -0.5 to 0.5 that look random and are a formula: (a i^2 + b i + c) mod 10007."""
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.int64)
    numbers = (31 * i * i + 7919 * i + 104_729 * (salt + 1)) % 10_007
    return (numbers.to(torch.float64) / 10_007 - 0.5).reshape(shape)


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Weights by formula, as large as He's; norms' shifts and biases small."""
    for salt, parameter in enumerate(network.parameters()):
        values = scattered(parameter.shape, salt)
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            values = values * (24 / fan_in) ** 0.5  # variance 2 / fan_in
        else:
            values = values * 0.1
        parameter.copy_(values)
    for module in network.modules():
        if isinstance(module, BiMap):
            module.weight.copy_(orthonormal(module.weight))


def summary(network: nn.Module) -> Numbers:
    """Each parameter as its dot product with a formula: a change of any entry shows."""
    with torch.no_grad():
        return {
            name: float((parameter * scattered(parameter.shape, 99)).sum())
            for name, parameter in network.named_parameters()
        }


def numbers(terms: dict[str, Tensor]) -> Numbers:
    """The terms of a step, to be written."""
    return {name: float(value) for name, value in terms.items()}


def pretrain_steps() -> dict[str, Any]:
    """CovPoolFER: terms of each step and the weights after the last one."""
    settings = sections.pretrain(
        learning_rate=0.02, adam_epsilon=0.1, weight_decay=0.05, batch_size=FACES
    )
    trainer = ExtractorTrainer(settings, CLASSES, seed=0, device=CPU)
    fill(trainer.network)
    labels = torch.arange(FACES) % CLASSES
    steps = [
        numbers(trainer.train_step(4 * scattered((FACES, 3, 48, 48), salt), labels))
        for salt in range(STEPS)
    ]
    centers = trainer.center_loss.centers
    return {
        "steps": steps,
        "weights": summary(trainer.network),
        "centers": float((centers * scattered(centers.shape, 99)).sum()),
    }


def fsr_steps(reading: str) -> dict[str, Any]:
    """G and D: terms of each step and both players' weights after the last one."""
    released = reading == "released"
    classifier = CovPoolFER(sections.extractor(), CLASSES).eval().classifier
    fill(classifier)
    trainer = FsrTrainer(
        sections.fsr(
            generator=sections.generator(
                channel_affine=released, tail_kernel=8 if released else 3, init_scale=1.0
            ),
            discriminator=sections.discriminator(bias=not released),
            learning_rate=1e-3,
        ),
        {
            "plain": variant(reweight=None),
            "reweighted": variant(reweight=sections.reweight()),
            "released": variant(
                losses=sections.losses(perceptual_weight=10.0, feature_l2_weight=0.01),
                reweight=sections.reweight(r=2.0, detach=False, discriminator=True),
            ),
        }[reading],
        classifier,
        seed=0,
        device=CPU,
    )
    fill(trainer.generator)
    fill(trainer.discriminator)
    labels = torch.arange(FACES) % CLASSES
    steps = []
    for salt in range(STEPS):
        lr, hr = (2 * scattered((FACES, 1, DIM, DIM), 2 * salt + i) for i in (0, 1))
        batch = Batch(lr, hr, labels, interpolation=scattered((1, FACES), salt) + 0.5)
        if released and salt == 0:
            steps.append(numbers(trainer.l2_step(batch)))
        steps.append(numbers(trainer.train_step(batch, diagnose=salt == 0)))
    return {
        "steps": steps,
        "generator": summary(trainer.generator),
        "discriminator": summary(trainer.discriminator),
    }


def all_steps() -> dict[str, Any]:
    """Everything that golden.json holds."""
    with float64():
        return {"pretrain": pretrain_steps()} | {
            f"fsr {reading}": fsr_steps(reading) for reading in ("plain", "reweighted", "released")
        }


if __name__ == "__main__":
    write_json(GOLDEN, all_steps())
