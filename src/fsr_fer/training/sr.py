"""RCAN and Meta-SR trained on pairs of small and full-size pictures (MODELS sections 4 and 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.data.labelled_faces import LabelledFaces
from fsr_fer.data.natural import NaturalPictures
from fsr_fer.distributed import require_one_process
from fsr_fer.downsampling import downsample
from fsr_fer.errors import UserError
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.pictures import as_picture, as_values
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network
from fsr_fer.randomness import stream, stream_seed
from fsr_fer.resize import imresize
from fsr_fer.settings import (
    DownsampleSettings,
    NaturalSettings,
    SrSettings,
    SuperResolutionSettings,
)
from fsr_fer.training.fit import Run, Schedule, Stateful, fit
from fsr_fer.training.optimizer import TensorFlowAdam

Network = TypeVar("Network", bound=nn.Module)

META_SR_FACTORS = tuple(tenths / 10 for tenths in range(11, 41))
"""What the official Meta-SR was trained for: 1.1, 1.2, ..., 4.0."""


def new_network(key: str, settings: SrSettings, seed: int) -> Rcan | MetaSr:
    """An untrained network: ``key`` is rcan_x2, rcan_x3, ..., or begins with meta_sr."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "sr", key, "weights"))
        if key.startswith("meta_sr"):
            return MetaSr(settings.meta_sr)
        return Rcan(settings.rcan, int(key.removeprefix("rcan_x")))


def network_to_retrain(meta_sr: Path, settings: SrSettings, seed: int) -> MetaSr:
    """What meta_sr_retrained starts from: the network in the file ``meta_sr``, or a new one.

    Raises:
        UserError: the file is no Meta-SR.
    """
    if settings.retrained_from == "nothing":
        network = new_network("meta_sr_retrained", settings, seed)
    else:
        trained = load_network(meta_sr, MetaSr)
        network = MetaSr(trained.settings)
        network.load_state_dict(trained.state_dict())
    assert isinstance(network, MetaSr)
    return network


@dataclass(frozen=True)
class Pairs:
    """``small`` uint8 [B, n, n, 3] and ``full`` uint8 [B, N, N, 3] of the same pictures."""

    small: Tensor
    full: Tensor


class PairSource(Protocol):
    """Draws pairs for training; what it draws for validation comes from other pictures."""

    def draw(self, generator: torch.Generator, count: int) -> Pairs:
        """``count`` pairs of one size, at random."""

    def held_out(self, generator: torch.Generator, count: int) -> list[Pairs]:
        """About ``count`` pairs from held-out pictures, sorted by size."""


class Patches:
    """Squares cut from natural pictures and made small by one of ``factors``, a batch by one.

    One picture in ten, at least one, is held out. Patches are cut first and made small then, so
    their edges are mirrored as those of whole faces are.
    """

    def __init__(
        self, pictures: NaturalPictures, factors: Sequence[float], patch_pixels: int, seed: int
    ) -> None:
        self.pictures, self.factors, self.patch_pixels = pictures, factors, patch_pixels
        side = self._full(max(factors))
        fitting = pictures.large_enough(side)
        if len(fitting) < 2:
            raise UserError(
                f"{len(fitting)} natural pictures are {side} pixels or larger each way; two are "
                f"needed for patches of {patch_pixels} pixels enlarged {max(factors):g} times"
            )
        order = torch.randperm(len(fitting), generator=stream(seed, "sr", "held out")).tolist()
        held = max(1, len(fitting) // 10)
        self._held = [fitting[i] for i in order[:held]]
        self._train = [fitting[i] for i in order[held:]]

    def draw(self, generator: torch.Generator, count: int) -> Pairs:
        factor = self.factors[int(torch.randint(len(self.factors), (), generator=generator))]
        full = [self._cut(self._train, factor, generator) for _ in range(count)]
        return self._pairs(np.stack([_turned(patch, generator) for patch in full]))

    def held_out(self, generator: torch.Generator, count: int) -> list[Pairs]:
        chosen = sorted({self.factors[0], self.factors[len(self.factors) // 2], self.factors[-1]})
        each = max(1, count // len(chosen))
        return [
            self._pairs(np.stack([self._cut(self._held, f, generator) for _ in range(each)]))
            for f in chosen
        ]

    def _full(self, factor: float) -> int:
        return int(factor * self.patch_pixels + 1e-9)

    def _cut(self, among: list[int], factor: float, generator: torch.Generator) -> np.ndarray:
        side = self._full(factor)
        picture = among[int(torch.randint(len(among), (), generator=generator))]
        height, width = self.pictures.shapes[picture]
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        return self.pictures.crop(picture, top, left, side)

    def _pairs(self, full: np.ndarray) -> Pairs:
        small = imresize(full, output_shape=(self.patch_pixels, self.patch_pixels))
        return Pairs(torch.from_numpy(small), torch.from_numpy(full))


class WholeFaces:
    """Train faces made small by one of ``scales``, a batch by one; validation faces held out."""

    def __init__(
        self,
        train: LabelledFaces,
        validation: LabelledFaces,
        scales: Sequence[int],
        settings: DownsampleSettings,
    ) -> None:
        self.train, self.validation = train, validation
        self.scales, self.settings = scales, settings

    def draw(self, generator: torch.Generator, count: int) -> Pairs:
        scale = self.scales[int(torch.randint(len(self.scales), (), generator=generator))]
        positions = torch.randint(len(self.train), (count,), generator=generator)
        faces, _ = self.train.batch(positions)
        # Mirrored only: a face lies one way up, and so do the pixels that imresize adds below it.
        flips = torch.rand(count, generator=generator) < 0.5
        return self._pairs(torch.where(flips[:, None, None, None], faces.flip(2), faces), scale)

    def held_out(self, generator: torch.Generator, count: int) -> list[Pairs]:
        some = min(len(self.validation), max(1, count // len(self.scales)))
        positions = torch.randperm(len(self.validation), generator=generator)[:some]
        faces, _ = self.validation.batch(positions)
        return [self._pairs(faces, scale) for scale in self.scales]

    def _pairs(self, faces: Tensor, scale: int) -> Pairs:
        small = downsample(np.ascontiguousarray(faces.numpy()), scale, self.settings)
        return Pairs(torch.from_numpy(small), faces)


def _turned(patch: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """One of the eight ways a square can lie."""
    way = int(torch.randint(8, (), generator=generator))
    turned = np.rot90(patch, way % 4)
    return np.ascontiguousarray(turned[:, ::-1] if way >= 4 else turned)


class SrTrainer:
    """A super-resolution network and its optimizer; ``train_step`` does one update."""

    def __init__(
        self, network: nn.Module, settings: SuperResolutionSettings, device: torch.device
    ) -> None:
        self.network = network.to(device).train()
        self.device = device
        self.optimizer = TensorFlowAdam(
            [p for p in self.network.parameters() if p.requires_grad],
            learning_rate=settings.learning_rate,
            beta1=settings.beta1,
            beta2=settings.beta2,
            epsilon=settings.adam_epsilon,
        )
        self.state: dict[str, Stateful] = {"network": self.network, "optimizer": self.optimizer}

    def train_step(self, pairs: Pairs) -> dict[str, Tensor]:
        """One update that lowers the mean absolute error, in grey levels.

        Raises:
            FloatingPointError: the loss or the gradient is not finite; nothing was updated.
        """
        full = as_values(pairs.full.to(self.device))
        restored = self.network(as_values(pairs.small.to(self.device)), full.shape[-1])
        loss = functional.l1_loss(restored, full)
        self.optimizer.zero_grad()
        loss.backward()
        return self.optimizer.step_if_finite({"train/l1": loss}, "train")


@torch.no_grad()
def mean_psnr(network: nn.Module, held_out: Sequence[Pairs], device: torch.device) -> float:
    """Mean over the pictures of PSNR in dB, on 8-bit RGB; the network is left as it was."""
    training = network.training
    network.eval()
    values = []
    for pairs in held_out:
        size = pairs.full.shape[1]
        restored = as_picture(network(as_values(pairs.small.to(device)), size)).cpu()
        errors = (restored.float() - pairs.full.float()).square().flatten(1).mean(dim=1)
        values += [10 * math.log10(255**2 / max(float(error), 1e-3)) for error in errors]
    network.train(training)
    return sum(values) / len(values)


def natural_lesson(
    key: str, pictures: NaturalPictures, natural: NaturalSettings, settings: SrSettings, seed: int
) -> tuple[Patches, SuperResolutionSettings]:
    """What a network is trained on and how: ``key`` is rcan_x2, rcan_x3, ..., or meta_sr."""
    if key == "meta_sr":
        patches = Patches(pictures, META_SR_FACTORS, natural.meta_sr_patch_pixels, seed)
        return patches, settings.meta_sr_training
    scale = int(key.removeprefix("rcan_x"))
    return Patches(pictures, (scale,), natural.rcan_patch_pixels, seed), settings.rcan_training


def train_sr(
    network: Network, source: PairSource, settings: SuperResolutionSettings, run: Run
) -> Network:
    """Train ``network`` and return it as it was when best on the held-out pictures, in eval mode.

    ``network(small, size)`` takes float [B, 3, n, n] of 0..255 and gives [B, 3, size, size].

    Raises:
        UserError: the training diverged, or torchrun has started several processes.
    """
    require_one_process()
    trainer = SrTrainer(network, settings, run.device)
    held_out = source.held_out(
        stream(run.seed, run.name, "validation"), settings.validation_pictures
    )

    def train_step(iteration: int) -> dict[str, Tensor]:
        halvings = iteration // settings.learning_rate_halving
        trainer.optimizer.learning_rate = settings.learning_rate / 2**halvings
        generator = stream(run.seed, run.name, iteration)
        return trainer.train_step(source.draw(generator, settings.batch_size))

    def validate(means: dict[str, float]) -> dict[str, float]:
        return {"validation/psnr": mean_psnr(network, held_out, run.device)}

    fit(
        network,
        trainer.state,
        train_step,
        validate,
        score="validation/psnr",
        schedule=Schedule(settings.iterations, settings.validation_every),
        run=run,
    )
    return network
