"""What one full training iteration costs: D's step with its penalty, then G's.

    python benchmarks/training.py [--threads N] [--paper-batch N] [--rounds N]

For the default's and the paper's size, on the GPU too where there is one. Written to
benchmarks/training.json: time per iteration, floating-point operations (counted), the share of what
a large matrix product reaches here, bytes that the operations read and write, and which operations
the time goes to. With --threads 1 it is the process's own
time, which other work on the machine hardly disturbs. Needs torch, NumPy, safetensors and
ruamel.yaml alone, with PYTHONPATH=src.
"""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import torch
from machine import describe_machine, values_of, write_results
from timing import in_turns
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from fsr_fer.common.settings import build
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.settings import ExtractorSettings
from fsr_fer.training.fsr import Batch, FsrTrainer
from fsr_fer.training.settings.fsr import (
    FsrSettings,
    FsrVariantSettings,
    LossSettings,
    ReweightSettings,
)

CPU = torch.device("cpu")


class Counter(TorchDispatchMode):
    """Floating-point operations, and bytes read and written as if nothing stayed in a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        if not function.is_view:
            seen = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in seen)
        return result


def training_step(
    profile: str, device: torch.device, batch: int | None
) -> tuple[Callable[[], object], int]:
    """One iteration of a profile on random features, and the faces in its batch."""
    values = values_of(profile)
    settings = build(FsrSettings, values["fsr"], "fsr")
    extractor = build(ExtractorSettings, values["pretrain"]["extractor"], "extractor")
    torch.manual_seed(0)
    trainer = FsrTrainer(
        settings,
        FsrVariantSettings(
            losses=build(LossSettings, values["losses"], "losses"),
            reweight=build(ReweightSettings, values["reweight"], "reweight"),
        ),
        CovPoolFER(extractor, 7).classifier,
        seed=0,
        device=device,
    )
    count = batch or settings.batch_size
    features = torch.randn(2, count, 1, extractor.bimap_dim, extractor.bimap_dim)
    lr, hr = ((features + features.mT) / 2).to(device)
    labels = torch.randint(7, (count,)).to(device)
    drawn = Batch(lr, hr, labels, torch.rand(1, count).to(device))
    return lambda: trainer.train_step(drawn), count


def seconds(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The least that a run takes; of this process's own work where one thread does all of it."""

    def whole() -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    (least,) = in_turns(whole, repeats=repeats)
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return least.processor if alone else least.wall


def measure(profile: str, device: torch.device, batch: int | None, rounds: int) -> dict[str, Any]:
    """Everything about one size on one device."""
    step, count = training_step(profile, device, batch)
    size = 1536 if device.type == "cpu" else 8192
    left, right = torch.randn(2, size, size, device=device)
    peak = 2 * size**3 / seconds(lambda: left @ right, device, 15)
    least = seconds(step, device, rounds)
    with Counter() as counted:
        step()
    return {
        "batch": count,
        "rounds": rounds,
        "peak_gflops_of_a_matrix_product": peak / 1e9,
        "seconds": least,
        "gflop": counted.flops / 1e9,
        "share_of_arithmetic_peak": counted.flops / least / peak,
        "gbytes": counted.bytes / 1e9,
        "where_the_time_goes": shares(step, device),
    }


def shares(run: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Share of each operation in the time of all, the eight largest."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        run()
    own = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times = {event.key: float(getattr(event, own)) for event in profile.key_averages()}
    largest = sorted(times, key=lambda key: -times[key])[:8]
    return {key: times[key] / sum(times.values()) for key in largest}


def main() -> None:
    """Measure every size and store what was found beside what is stored already."""
    parser = argparse.ArgumentParser(description="Time one training iteration.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument("--paper-batch", type=int, default=2, help="at the paper's size on a CPU")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda") if torch.cuda.is_available() else CPU
    machine = describe_machine("numpy", "torch") | {"threads": arguments.threads}
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    for profile in ("small", "paper"):
        for place in dict.fromkeys((CPU, device)):
            large = profile == "paper" and place.type == "cpu"
            batch = arguments.paper_batch if large else None
            rounds = min(3, arguments.rounds) if large else arguments.rounds
            found = measure(profile, place, batch, rounds)
            print(profile, place.type, json.dumps(found, indent=1))
            write_results(
                __file__, {f"{profile} {place.type}": found | {"machine": machine}}, add=True
            )


if __name__ == "__main__":
    main()
