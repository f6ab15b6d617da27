"""RCAN and Meta-SR trained on pairs of small and full-size pictures."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.common.distributed import require_one_process
from fsr_fer.common.random_streams import stream, stream_seed
from fsr_fer.data.super_resolution_pairs import Pairs, Patches, WholeFaces
from fsr_fer.evaluation.restoration import psnr
from fsr_fer.models.image_tensors import as_picture, as_values
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from fsr_fer.models.weights import load_network
from fsr_fer.training.fit import Run, Schedule, fit
from fsr_fer.training.optimizer import TensorFlowAdam
from fsr_fer.training.settings.sr import SuperResolutionSettings

META_SR_FACTORS = tuple(tenths / 10 for tenths in range(11, 41))
"""What the official Meta-SR was trained for: 1.1, 1.2, ..., 4.0."""


def new_network(key: str, settings: RcanSettings | MetaSrSettings, seed: int) -> Rcan | MetaSr:
    """An untrained network: RCAN for one scale (``key`` is rcan_x2), else Meta-SR for all."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "sr", key, "weights"))
        if isinstance(settings, MetaSrSettings):
            return MetaSr(settings)
        return Rcan(settings, int(key.removeprefix("rcan_x")))


def network_to_retrain(path: Path) -> Rcan | MetaSr:
    """The Meta-SR in the file ``path``, as ``meta_sr_retrained`` starts from it."""
    trained = load_network(path, MetaSr)
    network = MetaSr(trained.settings)
    network.load_state_dict(trained.state_dict())
    return network


@torch.no_grad()
def mean_psnr(network: nn.Module, held_out: Sequence[Pairs], device: torch.device) -> float:
    """Mean over the pictures of PSNR in dB, on 8-bit RGB."""
    values = []
    for pairs in held_out:
        size = pairs.full.shape[1]
        restored = as_picture(network(as_values(pairs.small.to(device)), size)).cpu()
        errors = (restored.float() - pairs.full.float()).square().flatten(1).mean(dim=1)
        values += [psnr(float(error)) for error in errors]
    return sum(values) / len(values)


def _held_out(
    source: Patches | WholeFaces, settings: SuperResolutionSettings, run: Run
) -> Sequence[Pairs]:
    generator = stream(run.seed, run.name, "validation")
    return source.held_out(generator, settings.validation_pictures)


def record_psnr(
    network: nn.Module, source: Patches | WholeFaces, settings: SuperResolutionSettings, run: Run
) -> None:
    """Record at step 0 what ``train_sr`` would validate, of a network trained elsewhere."""
    held_out = _held_out(source, settings, run)
    run.record(0, {"validation/psnr": mean_psnr(network.to(run.device), held_out, run.device)})


def train_sr(
    network: nn.Module, source: Patches | WholeFaces, settings: SuperResolutionSettings, run: Run
) -> nn.Module:
    """Train ``network`` and return it as it was when best on the held-out pictures, in eval mode.

    ``network(small, size)`` takes float [B, 3, n, n] of 0..255 and gives [B, 3, size, size].
    UserError if the training diverged, or torchrun has started several processes.
    """
    require_one_process()
    network.to(run.device).train()
    optimizer = TensorFlowAdam(network, learning_rate=settings.learning_rate)
    held_out = _held_out(source, settings, run)

    def train_step(iteration: int) -> dict[str, Tensor]:
        halvings = iteration // settings.learning_rate_halving
        optimizer.learning_rate = settings.learning_rate * 0.5**halvings
        pairs = source.draw(stream(run.seed, run.name, iteration), settings.batch_size)
        full = as_values(pairs.full.to(run.device))
        restored = network(as_values(pairs.small.to(run.device)), full.shape[-1])
        loss = functional.l1_loss(restored, full)  # in grey levels
        optimizer.zero_grad()
        loss.backward()
        return optimizer.step_if_finite({"train/l1": loss}, "train", len(full))

    fit(
        network,
        {"network": network, "optimizer": optimizer},
        train_step,
        lambda _: {"validation/psnr": mean_psnr(network, held_out, run.device)},
        score="validation/psnr",
        schedule=Schedule(settings.iterations, settings.validation_every),
        run=run,
    )
    return network
