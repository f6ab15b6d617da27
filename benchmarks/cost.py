"""How long each method of the table takes, all of them side by side.

    python benchmarks/cost.py [--profile paper] [--repeats 5]

Faces per second end to end, from small uint8 faces in memory to a class, for every method at every
scale: one face at a time and 64, on one core, on two, and on a GPU if there is one. All rows take
turns within one process and the best of each is kept, which other work on the machine disturbs
least; processor time, which it disturbs hardly at all, stands beside. Ratios are against bicubic,
the plain extractor. A batch that would take longer than LIMIT_SECONDS is made smaller; its line
says so. On two cores, 64 faces are read half by each core, as the pipeline does; of one face, torch
divides the work.

Networks have the profile's sizes and random weights: times do not depend on weights. Timings are
no part of the pipeline, two runs of which give the same bytes; what can be counted is, see
stages/cost.py. Results: benchmarks/cost.json, by profile.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stages do

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from machine import describe_machine, values_of, write_results
from timing import in_own_process, in_turns

from fsr_fer.common.settings import build
from fsr_fer.data.downsampling import downsample, restore
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.data.synthetic.dataset import synthetic_face
from fsr_fer.evaluation.methods import Method
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.image_tensors import Restorer
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import (
    ExtractorSettings,
    GeneratorSettings,
    MetaSrSettings,
    RcanSettings,
)

BATCHES = (1, 64)
LIMIT_SECONDS = 10.0
BASELINE = "bicubic"
FULL = 1
"""The scale of full-size faces."""
ROWS = (BASELINE, "mixed_resolution", "fsr_plain", "rcan", "meta_sr")
"""All other rows differ from one of these in weights alone."""
RCAN_SCALES = (2, 3, 4, 8)
Read = Callable[[np.ndarray, int], np.ndarray]
"""Faces downsampled by a scale, uint8 [B, h, w, 3], and that scale, to their classes [B]."""


def build_reader(row: str, values: dict[str, Any], device: str) -> Read:
    """A method whose networks have the sizes of a profile and random weights."""
    torch.manual_seed(0)
    extractor = build(ExtractorSettings, values["pretrain"]["extractor"], "extractor")
    network, generator = CovPoolFER(extractor, 7), None
    restorers: dict[int, Restorer] = {}
    if row == "fsr_plain":
        settings = build(GeneratorSettings, values["fsr"]["generator"], "generator")
        generator = Generator(settings)
    elif row == "rcan":
        rcan = build(RcanSettings, values["sr"]["rcan"], "rcan")
        restorers = {scale: Restorer(Rcan(rcan, scale)) for scale in RCAN_SCALES}
    elif row == "meta_sr":
        meta_sr = Restorer(MetaSr(build(MetaSrSettings, values["sr"]["meta_sr"], "meta_sr")))
        restorers = dict.fromkeys(range(2, 9), meta_sr)
    for module in (network, generator, *restorers.values()):
        if module is not None:
            module.eval().requires_grad_(False).to(device)
    method = Method(network=network, generator=generator)
    downsampling = build(DownsampleSettings, values["downsample"], "downsample")

    @torch.inference_mode()
    def read(small: np.ndarray, scale: int) -> np.ndarray:
        faces = torch.from_numpy(small).to(device)
        if scale in restorers:
            faces = restorers[scale](faces)
        elif scale != FULL:
            faces = restore(faces, scale, downsampling)
        return method.logits(faces, scale != FULL).argmax(dim=1).cpu().numpy()

    return read


def faces_of(scale: int, count: int, values: dict[str, Any]) -> np.ndarray:
    """Faces of the project made smaller by ``scale``, uint8 [count, h, w, 3]."""
    faces = np.stack([synthetic_face("test", n, faces_per_subject=7, seed=0) for n in range(count)])
    if scale == FULL:
        return faces
    return downsample(faces, scale, build(DownsampleSettings, values["downsample"], "downsample"))


def measure(profile: str, device: str, cores: int, repeats: int) -> list[dict[str, Any]]:
    """All rows, columns and batches on one device, in this process."""
    values = values_of(profile)
    readers = {row: build_reader(row, values, device) for row in ROWS}
    lines = []
    for batch in BATCHES:
        by_halves = batch > 1 and device == "cpu" and cores > 1
        torch.set_num_threads(1 if by_halves else cores)  # of threads that start from here on
        with ThreadPoolExecutor(cores) as pool:
            for scale in (FULL, *values["scales"]):
                column = "hr" if scale == FULL else f"x{scale}"
                small = faces_of(scale, batch, values)
                runs, counts = {}, {}
                for row, reader in readers.items():
                    if row == "rcan" and scale not in (FULL, *RCAN_SCALES):
                        continue
                    read = partial(reader, scale=scale)
                    counts[row] = fitting(read, small)
                    some = small[: counts[row]]
                    halves = np.array_split(some, min(cores, len(some)))
                    runs[row] = partial(read, some)
                    if by_halves:
                        runs[row] = lambda read=read, halves=halves: list(pool.map(read, halves))
                least = in_turns(*runs.values(), repeats=repeats)
                for (row, count), found in zip(counts.items(), least, strict=True):
                    line = {
                        "row": row,
                        "column": column,
                        "device": device,
                        "cores": cores,
                        "batch": batch,
                        "faces_timed": count,
                        "ms_per_face": 1e3 * found.wall / count,
                        "processor_ms_per_face": 1e3 * found.processor / count,
                    }
                    lines.append(line)
                print(f"  {device} {cores} {batch} {column}", file=sys.stderr, flush=True)
    return lines


def fitting(read: Callable[[np.ndarray], np.ndarray], small: np.ndarray) -> int:
    """How many of these faces are read within the limit: all, or a smaller power of two."""
    read(small[:1])  # the first one on a device takes seconds
    start = time.perf_counter()
    read(small[:1])
    fit = int(LIMIT_SECONDS / (time.perf_counter() - start))
    return len(small) if fit >= len(small) else 2 ** max(0, fit.bit_length() - 1)


def with_ratios(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Faces per second, and how many times as long as the plain extractor each row takes."""
    same = ("column", "device", "cores", "batch")
    plain = {tuple(x[k] for k in same): x for x in lines if x["row"] == BASELINE}
    found = []
    for line in lines:
        base = plain[tuple(line[k] for k in same)]
        wall, processor = line["ms_per_face"], line["processor_ms_per_face"]
        rounded = {
            "ms_per_face": round(wall, 4),
            "processor_ms_per_face": round(processor, 4),
            "faces_per_second": round(1e3 / wall, 2),
            "times_plain": round(wall / base["ms_per_face"], 3),
            "times_plain_processor": round(processor / base["processor_ms_per_face"], 3),
        }
        found.append(line | rounded)
    return found


def main() -> None:
    """Measure one profile and store it beside the others."""
    parser = argparse.ArgumentParser(description="Time every row from small face to class.")
    parser.add_argument("--profile", default="small")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    profile, load = arguments.profile, os.getloadavg()[0]
    places = [("cpu", 1), ("cpu", 2)] + ([("cuda", 1)] if torch.cuda.is_available() else [])
    lines = []
    for place in places:
        lines += in_own_process(measure, profile, *place, arguments.repeats)
    found = {
        "machine": describe_machine("numpy", "torch"),
        "others_load": round(load, 1),  # processes that wanted to run when this began
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "times": with_ratios(lines),
    }
    write_results(__file__, {profile: found}, add=True)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
