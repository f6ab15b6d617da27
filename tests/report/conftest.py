"""Two made-up runs to report on.

The small one has 60 faces, three methods and two scales; the full one every method of the main
table at every scale.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.data.manifest import SPLITS, Manifest
from fsr_fer.evaluation.predictions import PredictionTable
from fsr_fer.evaluation.settings import ReportSettings
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.writing import write_report
from tests import sections


@dataclass(frozen=True)
class Written:
    """What a report was made from and where it is."""

    inputs: ReportInputs
    directory: Path
    metrics: Path

    @property
    def page(self) -> str:
        return (self.directory / "index.html").read_text("utf-8")

    def numbers(self, name: str) -> dict[str, dict[str, float]]:
        """A metrics file: method, size, score."""
        return json.loads((self.metrics / f"{name}.json").read_text())


def write(inputs: ReportInputs, folder: Path) -> Written:
    write_report(inputs, folder / "page", folder / "metrics")
    return Written(inputs, folder / "page", folder / "metrics")


SMALL_PERCENT = {"bicubic": (90, 80, 50), "fsr_plain": (90, 80, 80), "rcan": (90, None, 60)}
FULL_PERCENT = {  # correct at full size, x2, ..., x8, about
    "bicubic": (83, 82, 80, 77, 73, 68, 63, 57),
    "rcan": (83, 82, 81, 78, None, None, None, 60),
    "meta_sr": (83, 82, 81, 78, 70, 64, 60, 58),
    "meta_sr_retrained": (83, 82, 81, 79, 72, 66, 61, 60),
    "fsr_l2": (83, 81, 80, 77, 75, 71, 67, 63),
    "fsr_plain": (83, 82, 80, 78, 75, 72, 69, 65),
    "fsr_reweighted": (83, 82, 80, 78, 76, 72, 69, 66),
    "mixed_resolution": (84, 85, 84, 83, 82, 81, 80, 79),
    "orthogonal_updates": (85, 86, 85, 84, 83, 82, 82, 81),
    "ensemble_distillation": (85, 85, 85, 84, 82, 82, 81, 82),
}


def build_manifest(splits: Sequence[str], class_names: tuple[str, ...]) -> Manifest:
    """Faces of these splits, the classes in turn."""
    number = len(splits)
    return Manifest(
        ids=tuple(f"face{i}" for i in range(number)),
        splits=tuple(splits),
        labels=np.arange(number) % len(class_names),
        class_names=class_names,
    )


def build_inputs(
    folder: Path,
    faces: tuple[int, int, int] = (12, 6, 42),
    class_names: tuple[str, ...] = ("<b>joy</b>", "fear & awe", "neutral"),
    scales: tuple[int, ...] = (2, 8),
    percent: Mapping[str, tuple[int | None, ...]] = SMALL_PERCENT,
    colors: tuple[int, int] = (100, 100),
    **changes,
) -> ReportInputs:
    """Inputs whose pictures lie in ``folder``.

    So many ``faces`` of each split, the classes in turn; at full size and each scale so many
    ``percent`` of the test faces correct. ``colors`` of a face: (1, 1) makes it of one. ``changes``
    replace fields.
    """
    images = np.random.default_rng(5).integers(0, 256, (sum(faces), *colors, 3), dtype=np.uint8)
    images = np.broadcast_to(images, (sum(faces), 100, 100, 3))
    save(folder / "dataset/images.npy", images)
    for scale in scales:
        side = math.ceil(100 / scale)
        save(folder / f"downsample/x{scale}.npy", images[:, :side, :side])
    manifest = build_manifest(np.repeat(SPLITS, faces).tolist(), class_names)
    sizes = ["hr", *(f"x{scale}" for scale in scales)]
    methods = {
        name: _predictions(manifest, dict(zip(sizes, shares, strict=True)))
        for name, shares in percent.items()
    }
    cost = {  # 46 million times 1, 2, 3, ...
        name: {
            "parameters": dict.fromkeys(method.predicted, 1_320_000),
            "flop_per_face": dict.fromkeys(method.predicted, times * 46_000_000),
            "eigen_flop_per_face": dict.fromkeys(method.predicted, 1000),
        }
        for times, (name, method) in enumerate(methods.items(), 1)
    }
    inputs = ReportInputs(
        profile="tiny",
        source="csv",
        scales=scales,
        methods=methods,
        cost=cost,
        manifest=manifest,
        data=folder,
        downsample=sections.downsample(),
        report=ReportSettings(
            confidence=0.95,
            resamples=300,
            calibration_bins=15,
            example_faces=4,
            references=tuple(n for n in percent if n in (next(iter(percent)), "mixed_resolution")),
        ),
        settings={"seed": 3, "reweight": {"sigma": 1.5, "detach": True}, "none": None},
        seed=3,
    )
    return replace(inputs, **changes)


def _predictions(manifest: Manifest, percent: dict[str, int | None]) -> PredictionTable:
    """At each size so many percent correct, said with 0.8, the others with 0.45."""
    test = manifest.rows("test")
    labels, class_names = manifest.labels[test], manifest.class_names
    order = 100 * np.random.default_rng(1).permutation(len(test)) / len(test)
    wrong = {size: order >= share for size, share in percent.items() if share is not None}
    next_class = (labels + 1) % len(class_names)
    return PredictionTable(
        ids=tuple(manifest.ids[i] for i in test),
        labels=labels,
        class_names=class_names,
        predicted={size: np.where(w, next_class, labels) for size, w in wrong.items()},
        confidence={size: np.where(w, 0.45, 0.8) for size, w in wrong.items()},
    )


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


@pytest.fixture
def inputs(tmp_path) -> ReportInputs:
    return build_inputs(tmp_path / "inputs")


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Written:
    folder = tmp_path_factory.mktemp("report")
    return write(build_inputs(folder / "inputs"), folder)


@pytest.fixture(scope="session")
def written_full(tmp_path_factory) -> Written:
    """Ten methods, seven scales and 154 test faces of seven classes."""
    folder = tmp_path_factory.mktemp("full_report")
    fidelity = {"x4": {"psnr": 28.126, "ssim": 0.8765}}
    inputs = build_inputs(
        folder / "inputs",
        (7, 7, 154),
        ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
        tuple(range(2, 9)),
        FULL_PERCENT,
        (1, 1),  # noise would make pictures of megabytes, which a browser is slow to load
        profile="full",
        fidelity=dict.fromkeys(("bicubic", "rcan", "meta_sr"), fidelity),
    )
    for name in ("rcan", "meta_sr"):
        for size in inputs.methods[name].predicted:
            save(folder / f"inputs/restored/{name}/{size}.npy", np.zeros((154, 100, 100, 3), "u1"))
    return write(inputs, folder)
