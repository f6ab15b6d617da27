"""Two made-up runs to report on.

The small one has 60 faces, three methods and two scales; the full one every method of the main
table at every scale.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.data.manifest import Manifest
from fsr_fer.evaluation.predictions import PredictionTable
from fsr_fer.evaluation.settings import EvaluateSettings
from fsr_fer.report import ReportInputs, write_report
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


def write(inputs: ReportInputs, folder: Path) -> Written:
    write_report(inputs, folder / "page", folder / "metrics")
    return Written(inputs, folder / "page", folder / "metrics")


def build_inputs(folder: Path, **changes) -> ReportInputs:
    """Inputs whose pictures lie in ``folder``; ``changes`` replace fields."""
    images = np.random.default_rng(5).integers(0, 256, (60, 100, 100, 3), dtype=np.uint8)
    class_names = ("<b>joy</b>", "fear & awe", "neutral")
    manifest = _manifest(class_names, {"train": 12, "validation": 6, "test": 42})
    order = np.random.default_rng(1).permutation(42)
    correct = {"bicubic": (90, 80, 50), "fsr_plain": (90, 80, 80), "rcan": (90, None, 60)}
    methods = _methods(manifest, (2, 8), correct, order)
    values = {
        "profile": "tiny",
        "source": "csv",
        "scales": (2, 8),
        "methods": methods,
        "cost": _cost(methods),
        "manifest": manifest,
        "data": _save_faces(folder, images, (2, 8)),
        "downsample": sections.downsample(),
        "evaluate": EvaluateSettings(confidence=0.95, resamples=300, calibration_bins=15),
        "settings": {"seed": 3, "reweight": {"sigma": 1.5, "detach": True}, "none": None},
        "example_faces": 4,
        "seed": 3,
    }
    return ReportInputs(**(values | changes))


def _save_faces(folder: Path, images: np.ndarray, scales: tuple[int, ...]) -> Path:
    """Write full-size faces, and as small ones a corner of each, where a profile has them."""
    save(folder / "dataset/images.npy", images)
    for scale in scales:
        side = math.ceil(100 / scale)
        save(folder / f"downsample/x{scale}.npy", images[:, :side, :side])
    return folder


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def _manifest(class_names: tuple[str, ...], faces: dict[str, int]) -> Manifest:
    """So many faces of each split, the classes in turn."""
    number = sum(faces.values())
    return Manifest(
        ids=tuple(f"face{i}" for i in range(number)),
        splits=tuple(split for split, count in faces.items() for _ in range(count)),
        labels=np.arange(number) % len(class_names),
        class_names=class_names,
    )


def _methods(
    manifest: Manifest,
    scales: tuple[int, ...],
    percent: dict[str, tuple[int | None, ...]],
    order: np.ndarray,
) -> dict[str, PredictionTable]:
    """At full size and each scale so many percent correct, said with 0.8, the others with 0.45."""
    test = manifest.rows("test")
    labels, class_names = manifest.labels[test], manifest.class_names
    next_class = (labels + 1) % len(class_names)
    methods = {}
    for name, shares in percent.items():
        wrong = {
            size: 100 * order >= share * len(test)
            for size, share in zip(("hr", *(f"x{s}" for s in scales)), shares, strict=True)
            if share is not None
        }
        methods[name] = PredictionTable(
            ids=tuple(manifest.ids[i] for i in test),
            labels=labels,
            class_names=class_names,
            predicted={size: np.where(w, next_class, labels) for size, w in wrong.items()},
            confidence={size: np.where(w, 0.45, 0.8) for size, w in wrong.items()},
        )
    return methods


FULL_SCALES = tuple(range(2, 9))
FULL_PERCENT = {  # correct at full size, x2, ..., x8, about
    "bicubic": (83, 82, 80, 77, 73, 68, 63, 57),
    "rcan": (83, 82, 81, 78, None, None, None, 60),
    "meta_sr": (83, 82, 81, 78, 70, 64, 60, 58),
    "meta_sr_retrained": (83, 82, 81, 79, 72, 66, 61, 60),
    "fsr_l2": (83, 81, 80, 77, 75, 71, 67, 63),
    "fsr_plain": (83, 82, 80, 78, 75, 72, 69, 65),
    "fsr_reweighted": (83, 82, 80, 78, 76, 72, 69, 66),
    "mixed_resolution": (84, 85, 84, 83, 82, 81, 80, 79),
    "best": (85, 86, 85, 84, 83, 82, 82, 81),
    "best_untied": (85, 85, 85, 84, 82, 82, 81, 80),
}


def build_full_inputs(folder: Path) -> ReportInputs:
    """Inputs with ten methods, seven scales and 154 test faces of seven classes."""
    generator = np.random.default_rng(7)
    # One colour each: noise would make pictures of megabytes, which a browser is slow to load.
    colors = generator.integers(0, 256, (168, 1, 1, 3), dtype=np.uint8)
    images = np.broadcast_to(colors, (168, 100, 100, 3))
    class_names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    manifest = _manifest(class_names, {"train": 7, "validation": 7, "test": 154})
    order = generator.permutation(154)
    methods = _methods(manifest, FULL_SCALES, FULL_PERCENT, order)
    fidelity = {"x4": {"psnr": 28.126, "ssim": 0.8765}}
    for name in ("rcan", "meta_sr"):
        for size in methods[name].predicted:
            save(folder / f"restored/{name}/{size}.npy", images[manifest.rows("test")])
    return build_inputs(
        folder / "small",
        profile="full",
        scales=FULL_SCALES,
        methods=methods,
        manifest=manifest,
        data=_save_faces(folder, images, FULL_SCALES),
        evaluate=EvaluateSettings(confidence=0.95, resamples=100, calibration_bins=15),
        fidelity={name: fidelity for name in ("bicubic", "rcan", "meta_sr")},
        cost=_cost(methods),
    )


def _cost(methods: dict[str, PredictionTable]) -> dict[str, dict[str, dict[str, int]]]:
    """Counts as ``evaluation.cost`` makes them: 46 million times 1, 2, 3, ..."""
    return {
        name: {
            "parameters": dict.fromkeys(method.predicted, 1_320_000),
            "flop_per_face": dict.fromkeys(method.predicted, times * 46_000_000),
            "eigen_flop_per_face": dict.fromkeys(method.predicted, 1000),
        }
        for times, (name, method) in enumerate(methods.items(), 1)
    }


@pytest.fixture
def inputs(tmp_path) -> ReportInputs:
    return build_inputs(tmp_path / "inputs")


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Written:
    folder = tmp_path_factory.mktemp("report")
    return write(build_inputs(folder / "inputs"), folder)


@pytest.fixture(scope="session")
def written_full(tmp_path_factory) -> Written:
    folder = tmp_path_factory.mktemp("full_report")
    return write(build_full_inputs(folder / "inputs"), folder)
