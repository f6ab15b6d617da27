"""What one full training iteration costs: D's step with its penalty, then G's.

    python benchmarks/training.py [--threads N] [--paper-batch N] [--rounds N]
    python benchmarks/training.py --accuracy [--iterations N]

For the default's and the paper's size, the engine's step beside the one of benchmarks/eager.py on
the same batch, in turns; on the GPU too where there is one. Written to benchmarks/training.json:
time per iteration, floating-point operations (counted), the share of what a large matrix product
reaches here, bytes that the operations read and write and the share of what a copy reaches, and
which operations the time goes to. With --threads 1 it is the process's own time, which other work
on the machine hardly disturbs.

With --accuracy both are trained on the pipeline's features from three seeds and their accuracies on
the validation faces compared. It needs `dvc repro features features_hr`.

Runs where there is torch, NumPy and safetensors alone: `fsr-fer pack` takes it along, to be started
there with PYTHONPATH=src.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from eager import EagerTrainer
from machine import describe_machine
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from fsr_fer.data.manifest import read_manifest
from fsr_fer.features.pairs import FeaturePairs, as_maps
from fsr_fer.features.tables import StoredTable
from fsr_fer.files import write_json
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import load_network
from fsr_fer.profiles import read_yaml
from fsr_fer.settings import (
    ExtractorSettings,
    FsrSettings,
    LossSettings,
    ReweightSettings,
    build,
)
from fsr_fer.training.fsr import FsrTrainer, draws, iterate, validate
from fsr_fer.training.optimizer import stepped_learning_rate
from fsr_fer.training.terms import Tally

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_suffix(".json")
CPU = torch.device("cpu")
PROFILES = ("small", "paper")


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


def settings_of(profile: str) -> tuple[FsrSettings, LossSettings, ReweightSettings, Any]:
    """Sections of params.yaml (or of the params.json in a pack)."""
    params = read_yaml(ROOT / "params.yaml")
    section = params["profiles"][profile]
    return (
        build(FsrSettings, section["fsr"], "fsr"),
        build(LossSettings, params["losses"] | section["losses"], "losses"),
        build(ReweightSettings, params["reweight"] | section["reweight"], "reweight"),
        build(ExtractorSettings, section["pretrain"]["extractor"], "extractor"),
    )


class Case:
    """Both trainers at one size on one device, and a batch for them."""

    def __init__(self, profile: str, device: torch.device, batch: int | None) -> None:
        settings, loss_settings, reweight, extractor = settings_of(profile)
        self.settings, self.device = settings, device
        self.batch = batch or settings.batch_size
        torch.manual_seed(0)
        classifier = CovPoolFER(extractor, 7).classifier
        common: dict[str, Any] = {
            "feature_dim": extractor.bimap_dim,
            "seed": 0,
            "device": device,
        }
        self.engine = FsrTrainer(settings, loss_settings, reweight, classifier, **common)
        self.plain = EagerTrainer(settings, loss_settings, reweight, classifier, **common)
        shape = (2, self.batch, 1, extractor.bimap_dim, extractor.bimap_dim)
        values = torch.randn(shape)
        self.lr, self.hr = ((values + values.mT) / 2).to(device)
        self.labels = torch.randint(7, (self.batch,)).to(device)
        self.mix = torch.rand(1, self.batch).to(device)
        self.rate = settings.learning_rate

    def engine_step(self) -> None:
        """As in ``train_fsr``: terms are kept, not read (on a CPU checked)."""
        for optimizer in (self.engine.generator_optimizer, self.engine.discriminator_optimizer):
            optimizer.set_learning_rate(self.rate)
        terms = self.engine.advance(self.lr, self.hr, self.labels, self.mix)
        Tally("iteration").add(0, terms)

    def plain_step(self) -> None:
        self.plain.step(self.lr, self.hr, self.labels, self.mix[0], self.rate)


def timed(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds per run; of this process's own work where one thread does all of it."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    for _ in range(repeats):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (clock() - start) / repeats


def measure(profile: str, device: torch.device, batch: int | None, rounds: int) -> dict[str, Any]:
    """Everything about one size on one device."""
    case = Case(profile, device, batch)
    runs = {"engine": case.engine_step, "eager": case.plain_step}
    first = {name: timed(run, device, 1) for name, run in runs.items()}
    repeats = max(1, round(0.5 / max(first.values())))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in sorted(runs, reverse=bool(turn % 2)):
            seconds[name].append(timed(runs[name], device, repeats))
    ratios = [b / a for a, b in zip(seconds["engine"], seconds["eager"], strict=True)]
    peak, bandwidth = peak_flops(device), peak_bytes(device)
    found: dict[str, Any] = {
        "batch": case.batch,
        "rounds": rounds,
        "iterations_per_round": repeats,
        "eager_over_engine": statistics.median(ratios),
        "eager_over_engine_each_round": ratios,
        "peak_gflops_of_a_matrix_product": peak / 1e9,
        "peak_gb_per_second_of_a_copy": bandwidth / 1e9,
    }
    for name, run in runs.items():
        with Counter() as counted:
            run()
        least = min(seconds[name])
        found[name] = {
            "seconds": least,
            "seconds_median": statistics.median(seconds[name]),
            "gflop": counted.flops / 1e9,
            "share_of_arithmetic_peak": counted.flops / least / peak,
            "gbytes": counted.bytes / 1e9,
            "share_of_copy_bandwidth": counted.bytes / least / bandwidth,
            "where_the_time_goes": shares(run, device),
        }
    return found


def peak_flops(device: torch.device) -> float:
    """Operations per second of a float32 matrix product."""
    size = 1536 if device.type == "cpu" else 8192
    left, right = torch.randn(2, size, size, device=device)
    timed(lambda: left @ right, device, 1)
    return 2 * size**3 / min(timed(lambda: left @ right, device, 3) for _ in range(5))


def peak_bytes(device: torch.device) -> float:
    """Bytes per second, read and written, of a large copy."""
    source = torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    return 2 * 2**28 / min(timed(lambda: target.copy_(source), device, 1) for _ in range(5))


def shares(run: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Share of each operation in the time of all, the eight largest."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        run()
    own = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times = {event.key: float(getattr(event, own)) for event in profile.key_averages()}
    total = sum(times.values())
    largest = sorted(times, key=lambda key: -times[key])[:8]
    return {key: times[key] / total for key in largest}


def accuracy(iterations: int, device: torch.device) -> dict[str, Any]:
    """Validation accuracy of both after equal iterations on the default's features."""
    settings, loss_settings, reweight, _ = settings_of("small")
    folder = ROOT / "data/small"
    network = load_network(ROOT / "models/small/pretrain.safetensors", CovPoolFER)
    manifest = read_manifest(folder / "dataset/manifest.csv", network.class_names)
    scales = read_yaml(ROOT / "params.yaml")["scales"]
    rows = manifest.rows("train", "validation")
    tables = {scale: StoredTable(folder / f"features/train/x{scale}") for scale in scales}
    pairs = FeaturePairs(StoredTable(folder / "features/train/hr"), tables, manifest.labels[rows])
    held_out = np.isin(rows, manifest.rows("validation"))
    train = pairs.take(np.flatnonzero(~held_out))
    validation = pairs.take(np.flatnonzero(held_out))
    common: dict[str, Any] = {"feature_dim": pairs.dim, "device": device}
    results = []
    for seed in range(3):
        engine = FsrTrainer(
            settings, loss_settings, reweight, network.classifier, seed=seed, **common
        )
        plain = EagerTrainer(
            settings, loss_settings, reweight, network.classifier, seed=seed, **common
        )
        for draw in draws(train, settings, seed, range(iterations)):
            iterate(engine, draw, device, diagnose=False)
            rate = stepped_learning_rate(
                settings.learning_rate,
                settings.learning_rate_milestones,
                settings.learning_rate_factor,
                draw.iteration,
            )
            maps = as_maps(draw.packed, draw.labels, device)
            plain.step(*maps, draw.mixes[0].to(device), rate)
        found = {
            name: validate(network_of, network.classifier, validation, device)[
                "validation/total_accuracy"
            ]
            for name, network_of in (("engine", engine.generator), ("eager", plain.generator))
        }
        print(
            f"  seed {seed}: engine {found['engine']:.2f}, eager {found['eager']:.2f}", flush=True
        )
        results.append(found | {"seed": seed})
    differences = [found["engine"] - found["eager"] for found in results]
    across = [statistics.stdev(found[name] for found in results) for name in ("engine", "eager")]
    return {
        "iterations": iterations,
        "faces": int(held_out.sum()),
        "seeds": results,
        "mean_difference": statistics.mean(differences),
        "largest_difference": max(map(abs, differences)),
        "standard_deviation_over_seeds": across,
    }


def print_results(found: dict[str, Any]) -> None:
    """A table of what was measured."""
    for name, case in found.items():
        print(f"\n{name}, batch {case['batch']}: eager / engine {case['eager_over_engine']:.2f}")
        for variant in ("eager", "engine"):
            row = case[variant]
            print(
                f"  {variant:<7}{1e3 * row['seconds']:>10.1f} ms{row['gflop']:>10.2f} GFLOP"
                f"{100 * row['share_of_arithmetic_peak']:>6.0f} % of peak{row['gbytes']:>8.2f} GB"
                f"{100 * row['share_of_copy_bandwidth']:>6.0f} % of bandwidth"
            )
            times = row["where_the_time_goes"].items()
            print("    " + ", ".join(f"{op} {100 * share:.0f} %" for op, share in times))


def store(name: str, found: dict[str, Any]) -> None:
    """Put figures beside those that are stored already."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    write_json(RESULTS, results | {name: found})


def main() -> None:
    """Run what was asked for and store what it found beside what is stored already."""
    parser = argparse.ArgumentParser(description="Time one training iteration.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU")
    parser.add_argument("--rounds", type=int, default=7, help="times that both take turns")
    parser.add_argument("--paper-batch", type=int, default=2, help="at the paper's size on a CPU")
    parser.add_argument("--only", choices=PROFILES, help="one size alone")
    parser.add_argument("--accuracy", action="store_true", help="train both from three seeds")
    parser.add_argument("--iterations", type=int, default=200, help="of --accuracy")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda") if torch.cuda.is_available() else CPU
    machine = describe_machine(("numpy", "torch")) | {"threads": arguments.threads}
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    if arguments.accuracy:
        store("accuracy", accuracy(arguments.iterations, device) | {"machine": machine})
        return
    for profile in PROFILES if arguments.only is None else (arguments.only,):
        for place in dict.fromkeys((CPU, device)):
            large = profile == "paper" and place.type == "cpu"
            batch = arguments.paper_batch if large else None
            rounds = min(3, arguments.rounds) if large else arguments.rounds
            case = measure(profile, place, batch, rounds)
            name = f"{profile} {place.type}"
            print_results({name: case})
            store(name, case | {"machine": machine})


if __name__ == "__main__":
    main()
