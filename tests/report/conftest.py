"""Two made-up runs to report on.

The small one has 60 faces, three methods and two scales; the full one every method of the main
table at every scale.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.data.manifest import Manifest
from fsr_fer.predictions import PredictionTable
from fsr_fer.report import ReportInputs, write_report
from fsr_fer.settings import DownsampleSettings

CLASS_NAMES = ("<b>joy</b>", "fear & awe", "neutral")
SCALES = (2, 8)
SHARES = {"bicubic": (0.9, 0.8, 0.5), "fsr_plain": (0.9, 0.8, 0.8), "rcan": (0.9, None, 0.6)}


@dataclass(frozen=True)
class Written:
    """What a report was made from and where it is."""

    inputs: ReportInputs
    directory: Path
    metrics: Path

    @property
    def page(self) -> str:
        return (self.directory / "index.html").read_text("utf-8")


def build_inputs(folder: Path, **changes) -> ReportInputs:
    """Inputs whose files lie in ``folder``; ``changes`` replace fields."""
    generator = np.random.default_rng(5)
    images = generator.integers(0, 256, (60, 100, 100, 3), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images)
    for scale, side in zip(SCALES, (50, 13), strict=True):
        np.save(folder / f"x{scale}.npy", images[:, :side, :side])
    manifest = _manifest()
    test = manifest.rows("test")
    values = {
        "profile": "tiny",
        "source": "csv",
        "class_names": CLASS_NAMES,
        "scales": SCALES,
        "methods": {name: _predictions(manifest, test, name) for name in SHARES},
        "manifest": manifest,
        "images_path": folder / "images.npy",
        "downsampled": {f"x{scale}": folder / f"x{scale}.npy" for scale in SCALES},
        "downsample": DownsampleSettings(form="scale", boundary="symmetric", restore="resize"),
        "settings": {"seed": 3, "reweight": {"sigma": 1.5, "detach": True}, "none": None},
        "confidence": 0.95,
        "resamples": 300,
        "example_faces": 4,
        "seed": 3,
    }
    return ReportInputs(**(values | changes))


def _manifest() -> Manifest:
    number = range(60)
    return Manifest(
        ids=tuple(f"face{i}" for i in number),
        sources=("",) * 60,
        splits=tuple("train" if i < 12 else "validation" if i < 18 else "test" for i in number),
        labels=np.arange(60) % 3,
        subjects=("",) * 60,
        sha256=tuple(f"{i:064x}" for i in number),
        class_names=CLASS_NAMES,
    )


def _predictions(manifest: Manifest, test: np.ndarray, row: str) -> PredictionTable:
    labels = manifest.labels[test]
    order = np.random.default_rng(1).permutation(len(labels))
    predicted, confidence = {}, {}
    for column, share in zip(("hr", "x2", "x8"), SHARES[row], strict=True):
        if share is not None:
            wrong = order >= share * len(labels)
            predicted[column] = np.where(wrong, (labels + 1) % 3, labels)
            confidence[column] = np.where(wrong, 0.45, 0.8)
    return PredictionTable(
        ids=tuple(manifest.ids[i] for i in test),
        labels=labels,
        class_names=CLASS_NAMES,
        predicted=predicted,
        confidence=confidence,
    )


FULL_SCALES = tuple(range(2, 9))
FULL_ROWS = {  # percent right at full size, x2, ..., x8, about
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


def build_full_inputs(folder: Path, **changes) -> ReportInputs:
    """Inputs with ten rows, seven scales and 154 test faces of seven classes."""
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    number = 168
    generator = np.random.default_rng(7)
    # One colour each: noise would make pictures of megabytes, which a browser is slow to load.
    images = np.broadcast_to(
        generator.integers(0, 256, (number, 1, 1, 3), dtype=np.uint8), (number, 100, 100, 3)
    )
    folder.mkdir(parents=True, exist_ok=True)
    sides = dict(zip(FULL_SCALES, (50, 34, 25, 20, 17, 15, 13), strict=True))
    paths = {"images": images} | {f"x{s}": images[:, :side, :side] for s, side in sides.items()}
    for name, faces in paths.items():
        np.save(folder / f"{name}.npy", faces)
    labels = np.arange(number) % len(names)
    manifest = Manifest(
        ids=tuple(f"face{i}" for i in range(number)),
        sources=("",) * number,
        splits=tuple(
            "train" if i < 7 else "validation" if i < 14 else "test" for i in range(number)
        ),
        labels=labels,
        subjects=("",) * number,
        sha256=tuple(f"{i:064x}" for i in range(number)),
        class_names=names,
    )
    test = manifest.rows("test")
    order = generator.permutation(len(test))
    columns = ("hr", *(f"x{scale}" for scale in FULL_SCALES))
    rows = {
        row: PredictionTable(
            ids=tuple(manifest.ids[i] for i in test),
            labels=labels[test],
            class_names=names,
            predicted={
                column: np.where(
                    100 * order >= percent * len(test), (labels[test] + 1) % 7, labels[test]
                )
                for column, percent in zip(columns, percents, strict=True)
                if percent is not None
            },
            confidence={
                column: np.full(len(test), 0.75)
                for column, percent in zip(columns, percents, strict=True)
                if percent is not None
            },
        )
        for row, percents in FULL_ROWS.items()
    }
    np.save(folder / "restored.npy", images[test])
    restored = {
        row: {column: folder / "restored.npy" for column in rows[row].predicted if column != "hr"}
        for row in ("rcan", "meta_sr")
    }
    values = {
        "profile": "full",
        "class_names": names,
        "scales": FULL_SCALES,
        "methods": rows,
        "manifest": manifest,
        "images_path": folder / "images.npy",
        "downsampled": {f"x{scale}": folder / f"x{scale}.npy" for scale in FULL_SCALES},
        "resamples": 100,
        "restored": restored,
        "fidelity": {
            row: {"x4": {"psnr": 28.126, "ssim": 0.8765}} for row in ("bicubic", "rcan", "meta_sr")
        },
        "cost": {row: _cost(list(p.predicted), 1 + n) for n, (row, p) in enumerate(rows.items())},
    }
    return build_inputs(folder / "small", **(values | changes))


def _cost(columns: list[str], times: int) -> dict[str, dict[str, int]]:
    """Counts as ``fsr_fer.cost`` makes them: so many times 46 million operations, and 1000."""
    return {
        "parameters": {column: 1_320_000 for column in columns},
        "flop_per_face": {column: times * 46_000_000 for column in columns},
        "eigen_flop_per_face": {column: 1000 for column in columns},
    }


@pytest.fixture(scope="session")
def make_inputs():
    """The function that makes the inputs of a small run in a folder."""
    return build_inputs


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Written:
    """The report of the small run."""
    folder = tmp_path_factory.mktemp("report")
    inputs = build_inputs(folder / "inputs")
    write_report(inputs, folder / "page", folder / "metrics")
    return Written(inputs, folder / "page", folder / "metrics")


@pytest.fixture(scope="session")
def written_full(tmp_path_factory) -> Written:
    """The report of the full run."""
    folder = tmp_path_factory.mktemp("full_report")
    inputs = build_full_inputs(folder / "inputs")
    write_report(inputs, folder / "page", folder / "metrics")
    return Written(inputs, folder / "page", folder / "metrics")
