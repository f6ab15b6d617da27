"""What second-order features cost: where the time goes, how time and memory grow with the faces.

    python benchmarks/features.py [--faces 100000]

Three parts, all in one run, written to benchmarks/features.json and printed:

1. Per face at the default's and at the paper's size, one thread: each step by itself, the stream of
   the pipeline beside the plain loop (one batch after the other, torch's own threads, no folding of
   batch normalisation, torch.std_mean) and beside the convolutions alone.
2. Extraction of 10, 30 and 100 thousand x4 faces (drawn ones, repeated) at the default's size, each
   in a process of its own: seconds and peak memory.
3. A training loop with batches from the disk beside one that is handed the same batch every time.

Times that are compared are taken in turns and the best of each is kept, which other work on the
machine disturbs least.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stages do

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from timing import in_turns, peak_mib
from torch.nn import functional

from fsr_fer.data.synthetic import synthetic_face
from fsr_fer.downsampling import downsample, restore
from fsr_fer.features.extraction import Faces, publish, write_shards
from fsr_fer.features.packing import encode, pack
from fsr_fer.features.pairs import FeaturePairs
from fsr_fer.features.tables import Layout, StoredTable
from fsr_fer.files import write_json
from fsr_fer.models.covpool import (
    POOL_AFTER,
    CovPoolFER,
    FeatureExtractor,
    standardise,
)
from fsr_fer.models.spd import covariance_pool, log_eig
from fsr_fer.profiles import read_yaml
from fsr_fer.prefetch import ahead
from fsr_fer.settings import (
    DownsampleSettings,
    ExtractorSettings,
    FsrSettings,
    LossSettings,
    build,
)
from fsr_fer.training.fsr import FsrTrainer, draws, iterate

RESULTS = Path(__file__).with_suffix(".json")
PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
SMALL = DownsampleSettings(form="scale", boundary="symmetric", restore="resize")
CPU = torch.device("cpu")
BATCH = 32
SCALE = 4


def extractor(profile: str) -> FeatureExtractor:
    section = read_yaml(PARAMS)["profiles"][profile]["pretrain"]["extractor"]
    torch.manual_seed(0)
    settings = build(ExtractorSettings, section, "extractor")
    return FeatureExtractor(settings).eval().requires_grad_(False)


def drawn_faces() -> np.ndarray:
    """256 of the project's faces, uint8 [256, 100, 100, 3]."""
    faces = [synthetic_face("train", n, faces_per_subject=7, seed=0) for n in range(256)]
    return np.stack(faces)


def best(*runs: Callable[[], object], repeats: int = 7) -> list[float]:
    """Least seconds of each, taken in turns; one round is not counted."""
    return [least.wall for least in in_turns(*runs, repeats=repeats)]


def plain_features(network: FeatureExtractor, small: np.ndarray) -> np.ndarray:
    """What one would write first; the same mathematics."""
    images = torch.from_numpy(restore(small, SCALE, SMALL)).permute(0, 3, 1, 2).to(torch.float32)
    std, mean = torch.std_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
    values = (images - mean) / std.clamp_min(images[0].numel() ** -0.5)
    for position, (conv, norm) in enumerate(zip(network.convs, network.norms, strict=True)):
        values = functional.relu(norm(conv(values)))
        if position in POOL_AFTER:
            values = functional.max_pool2d(values, 2)
    return pack(network.second_order(values)).numpy()


@torch.inference_mode()
def steps(profile: str) -> dict[str, Any]:
    """Microseconds per face of each step on one thread, and of the whole on all threads."""
    network = extractor(profile)
    settings = network.settings
    small = downsample(drawn_faces()[:BATCH], SCALE, SMALL)
    full = restore(small, SCALE, SMALL)
    images = torch.from_numpy(full)
    ready = standardise(images)
    maps = network.maps(ready)
    covariances = covariance_pool(maps, settings.covariance_ridge)
    compact = network.bimap(covariances)
    bounds = settings.eigenvalue_min, settings.eigenvalue_max
    features = log_eig(compact, *bounds)
    work: dict[str, Callable[[], object]] = {
        "restore": lambda: restore(small, SCALE, SMALL),
        "standardise": lambda: standardise(images),
        "convolutions": lambda: network.maps(ready),
        "covariance": lambda: covariance_pool(maps, settings.covariance_ridge),
        "bimap": lambda: network.bimap(covariances),
        "log_eig": lambda: log_eig(compact, *bounds),
        "of which eigh": lambda: torch.linalg.eigh(compact),
        "pack": lambda: encode(pack(features), "float32"),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    micro = {
        name: 1e6 * seconds / BATCH
        for name, seconds in zip(work, best(*work.values()), strict=True)
    }
    torch.set_num_threads(threads)
    count = 2048 if profile == "small" else 128
    many = np.tile(small, (count // BATCH, 1, 1, 1))
    rows = np.arange(count)

    def stream() -> None:
        with tempfile.TemporaryDirectory() as folder:
            layout = Layout(
                faces=count, dim=settings.bimap_dim, dtype="float32", extractor="benchmark"
            )
            faces = Faces(many, rows, (SCALE, SMALL))
            write_shards(network, faces, Path(folder), layout, device=CPU)

    def convolutions() -> None:
        for _ in range(count // BATCH):
            network.maps(ready)

    def plain() -> None:
        with tempfile.TemporaryFile() as file:
            for start in range(0, count, BATCH):
                np.save(file, plain_features(network, many[start : start + BATCH]))

    whole = best(stream, convolutions, plain, repeats=3)
    torch.set_num_threads(1)
    (one_thread,) = best(convolutions, repeats=3)
    torch.set_num_threads(threads)
    return {
        "one_thread_us_per_face": micro,
        "threads": threads,
        "all_threads_us_per_face": {
            name: 1e6 * seconds / count
            for name, seconds in zip(("stream", "convolutions", "plain"), whole, strict=True)
        },
        "stream_over_convolutions": whole[0] / whole[1],
        "stream_over_convolutions_perfectly_shared": whole[0] / (one_thread / threads),
        "plain_over_stream": whole[2] / whole[0],
    }


def extract_many(count: int) -> dict[str, float]:
    """Seconds and peak memory of the extraction of so many x4 faces, in this very process."""
    network = extractor("small")
    small = downsample(drawn_faces(), SCALE, SMALL)
    layout = Layout(
        faces=count, dim=network.settings.bimap_dim, dtype="float32", extractor="benchmark"
    )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "faces.npy"
        mapped = np.lib.format.open_memmap(source, "w+", np.uint8, (count, *small.shape[1:]))
        for start in range(0, count, len(small)):
            mapped[start : start + len(small)] = small[: count - start]
        mapped.flush()
        del mapped
        before = peak_mib()
        images = np.load(source, mmap_mode="r")
        start_time = time.perf_counter()
        faces = Faces(images, np.arange(count), (SCALE, SMALL))
        write_shards(network, faces, Path(folder) / "work", layout, device=CPU)
        publish(Path(folder) / "work", layout, Path(folder) / "done")
        seconds = time.perf_counter() - start_time
        stored = sum(path.stat().st_size for path in (Path(folder) / "done").iterdir())
        return {
            "faces": count,
            "seconds": seconds,
            "us_per_face": 1e6 * seconds / count,
            "anonymous_mib": anonymous_mib(),
            "peak_mib": peak_mib(),
            "peak_before_mib": before,
            "stored_mib": stored / 2**20,
        }


def anonymous_mib() -> float:
    """Memory of this process alone, without the pages of mapped files that the system lends."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def scaling(sizes: list[int]) -> dict[str, Any]:
    rows = []
    for size in sizes:
        command = [sys.executable, __file__, "--extract", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(f"  {size:>9,} faces: {rows[-1]['seconds']:.1f} s", flush=True)
    first, last = rows[0], rows[-1]
    slope = (last["seconds"] - first["seconds"]) / (last["faces"] - first["faces"])
    return {
        "runs": rows,
        "million_faces_seconds": first["seconds"] + slope * (1_000_000 - first["faces"]),
        "million_faces_stored_mib": last["stored_mib"] / last["faces"] * 1_000_000,
    }


def training_waits() -> dict[str, float]:
    """Time per iteration at the default's size: batches from the disk, and one batch for ever."""
    params = read_yaml(PARAMS)
    section = params["profiles"]["small"]
    settings = build(FsrSettings, section["fsr"], "fsr")
    losses = build(LossSettings, params["losses"] | section["losses"], "losses")
    network = CovPoolFER(build(ExtractorSettings, section["pretrain"]["extractor"], "e"), 7)
    dim = network.extractor.settings.bimap_dim
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        tables = {}
        for scale in range(1, 9):
            layout = Layout(faces=8192, dim=dim, dtype="float32", extractor="benchmark")
            work = Path(folder) / f"work{scale}"
            work.mkdir()
            for shard in layout.shards:
                values = torch.randn(layout.shape(shard), generator=generator)
                np.save(work / layout.file(shard), encode(values, "float32"))
            publish(work, layout, Path(folder) / f"x{scale}")
            tables[scale] = StoredTable(Path(folder) / f"x{scale}")
        labels = torch.randint(7, (8192,), generator=generator).numpy()
        pairs = FeaturePairs(tables.pop(1), tables, labels)
        trainer = FsrTrainer(
            settings, losses, None, network.classifier, feature_dim=dim, seed=0, device=CPU
        )
        count = 40
        constant = next(draws(pairs, settings, 0, range(1)))

        def real() -> None:
            for draw in ahead(draws(pairs, settings, 0, range(count))):
                iterate(trainer, draw, CPU, diagnose=False)

        def handed() -> None:
            for _ in range(count):
                iterate(trainer, constant, CPU, diagnose=False)

        def reading() -> None:
            for _ in draws(pairs, settings, 0, range(count)):
                pass

        seconds = best(real, handed, reading, repeats=5)
    return {
        "ms_per_iteration_from_disk": 1e3 * seconds[0] / count,
        "ms_per_iteration_constant": 1e3 * seconds[1] / count,
        "ms_per_batch_read_alone": 1e3 * seconds[2] / count,
        "from_disk_over_constant": seconds[0] / seconds[1],
    }


def print_results(results: dict[str, Any]) -> None:
    for profile, found in results["steps"].items():
        print(f"\n{profile}: microseconds per face")
        for name, value in found["one_thread_us_per_face"].items():
            print(f"  {name:<16}{value:>10.0f}  one thread")
        for name, value in found["all_threads_us_per_face"].items():
            print(f"  {name:<16}{value:>10.0f}  {found['threads']} threads")
        print(f"  stream / convolutions {found['stream_over_convolutions']:.2f}", end="; ")
        print(f"if those shared perfectly {found['stream_over_convolutions_perfectly_shared']:.2f}")
        print(f"  plain / stream {found['plain_over_stream']:.2f}")
    print("\nfaces      seconds  us/face  peak MiB  of its own  stored MiB")
    for run in results["scaling"]["runs"]:
        print(
            f"{run['faces']:>9,}{run['seconds']:>9.1f}{run['us_per_face']:>9.0f}"
            f"{run['peak_mib']:>10.0f}{run['anonymous_mib']:>12.0f}{run['stored_mib']:>12.0f}"
        )
    hours = results["scaling"]["million_faces_seconds"] / 3600
    print(f"a million faces by the same slope: {hours:.2f} hours")
    waits = results["training"]
    print(
        f"\ntraining: {waits['ms_per_iteration_from_disk']:.1f} ms per iteration from the disk, "
        f"{waits['ms_per_iteration_constant']:.1f} ms with one batch for ever "
        f"(ratio {waits['from_disk_over_constant']:.3f})"
    )


def main() -> None:
    """Run all parts and store what they found."""
    parser = argparse.ArgumentParser(description="Time second-order features.")
    parser.add_argument(
        "--faces", type=int, default=100_000, help="the largest of the scaling runs"
    )
    parser.add_argument("--extract", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.extract:
        print(json.dumps(extract_many(arguments.extract)))
        return
    sizes = [arguments.faces // 10, arguments.faces * 3 // 10, arguments.faces]
    results = {
        "machine": describe_machine(("numpy", "torch")),
        "steps": {profile: steps(profile) for profile in ("small", "paper")},
        "training": training_waits(),
        "scaling": scaling(sizes),
    }
    write_json(RESULTS, results)
    print_results(results)


if __name__ == "__main__":
    main()
