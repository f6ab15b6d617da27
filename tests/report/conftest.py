"""A small run to report on: 60 faces, three rows, two scales, a few logged steps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fsr_fer.data.manifest import Manifest
from fsr_fer.predictions import Predictions
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
    for run in ("pretrain", "fsr/plain"):
        for name in ("g/gan", "validation/accuracy"):
            path = folder / run / f"{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"step\t{path.stem}\n0\t1.5\n1\t0.5\n")
    values = {
        "profile": "tiny",
        "source": "csv",
        "class_names": CLASS_NAMES,
        "scales": SCALES,
        "rows": {row: _predictions(manifest, test, row) for row in SHARES},
        "manifest": manifest,
        "images_path": folder / "images.npy",
        "downsampled": {f"x{scale}": folder / f"x{scale}.npy" for scale in SCALES},
        "downsample": DownsampleSettings(form="scale", boundary="symmetric", restore="resize"),
        "curves": {run: folder / run for run in ("pretrain", "fsr/plain")},
        "effective_params": {"seed": 3, "reweight": {"sigma": 1.5, "detach": True}, "none": None},
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


def _predictions(manifest: Manifest, test: np.ndarray, row: str) -> Predictions:
    labels = manifest.labels[test]
    order = np.random.default_rng(1).permutation(len(labels))
    predicted, confidence = {}, {}
    for column, share in zip(("hr", "x2", "x8"), SHARES[row], strict=True):
        if share is not None:
            wrong = order >= share * len(labels)
            predicted[column] = np.where(wrong, (labels + 1) % 3, labels)
            confidence[column] = np.where(wrong, 0.45, 0.8)
    return Predictions(
        ids=tuple(manifest.ids[i] for i in test),
        labels=labels,
        class_names=CLASS_NAMES,
        predicted=predicted,
        confidence=confidence,
    )


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
