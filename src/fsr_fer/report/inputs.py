"""What the report is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fsr_fer.arrays import open_faces
from fsr_fer.data.manifest import Manifest
from fsr_fer.errors import UserError
from fsr_fer.predictions import HR, PredictionTable
from fsr_fer.report.scores import MEAN
from fsr_fer.settings import DownsampleSettings

CHALLENGER = "mixed_resolution"
"""What a practitioner would try first: besides the baseline, all are compared with it."""


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Everything ``write_report`` reads.

    The first of ``methods`` is the baseline that the others are compared with. ``images_path`` is
    uint8 [N, 100, 100, 3] in the manifest's order and ``downsampled`` the same faces, uint8
    [N, h, w, 3], keyed "x2", "x3", ...; both are memory-mapped. ``downsample`` says how they were
    made and are put back. ``confidence`` (of intervals) is between 0 and 1, ``calibration_bins``
    are bins of the confidence of predictions. ``restored`` are the test faces that a method put
    back to full size, uint8 [N_test, 100, 100, 3], keyed by method and size, of those that do;
    ``fidelity`` how near they come: method ("bicubic" too), size, then "psnr" in dB and "ssim".
    ``cost`` is what ``fsr_fer.cost`` counts: method, then kind of count, then column. ``hashes``
    are the MD5 of the files read, by path.
    """

    profile: str
    source: str
    class_names: tuple[str, ...]
    scales: tuple[int, ...]
    methods: Mapping[str, PredictionTable]
    manifest: Manifest
    images_path: Path
    downsampled: Mapping[str, Path]
    downsample: DownsampleSettings
    settings: Mapping[str, Any]
    confidence: float
    resamples: int
    example_faces: int
    seed: int
    calibration_bins: int = 15
    restored: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    fidelity: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    cost: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.methods:
            raise UserError(
                "report: no method is named; name at least the baseline, for example bicubic"
            )
        test = self.manifest.rows("test")
        expected_ids = tuple(self.manifest.ids[i] for i in test)
        for name, predictions in self.methods.items():
            if predictions.ids != expected_ids:
                raise UserError(
                    f"predictions of {name!r}: the {len(predictions)} faces are not the "
                    f"{len(test)} test faces of the manifest, in its order; run `dvc repro`"
                )
            if not np.array_equal(predictions.labels, self.manifest.labels[test]):
                raise UserError(
                    f"predictions of {name!r}: labels differ from the manifest's; run `dvc repro`"
                )
            if unknown := [c for c in predictions.predicted if c not in self.columns]:
                raise UserError(
                    f"predictions of {name!r}: {unknown[0]!r} is none of {list(self.columns)}"
                )
        for path in (path for paths in self.restored.values() for path in paths.values()):
            if (number := len(open_faces(path))) != len(test):
                raise UserError(
                    f"{path}: {number} faces, expected the {len(test)} test faces; run `dvc repro`"
                )

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the scales in the order of params: "x2", "x3" and so on."""
        return tuple(f"x{scale}" for scale in self.scales)

    @property
    def columns(self) -> tuple[str, ...]:
        """The sizes of the faces: "hr", "x2", "x3" and so on."""
        return (HR, *self.scale_names)

    @property
    def baseline(self) -> str:
        """Name of the method the others are compared with."""
        return next(iter(self.methods))

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the methods that all others are compared with, the baseline first."""
        return tuple(dict.fromkeys([self.baseline, *({CHALLENGER} & set(self.methods))]))

    @cached_property
    def pixels(self) -> dict[str, int]:
        """Height of a face in pixels for each of ``columns``."""
        paths = {HR: self.images_path, **self.downsampled}
        return {name: open_faces(paths[name]).shape[1] for name in self.columns}

    def operations(self, name: str, column: str) -> float | None:
        """Operations per face of a method, eigendecompositions included, or their mean over scales.

        None where they were not counted: the method does not exist at the size.
        """
        counts = self.cost.get(name, {})
        flop, eigen = counts.get("flop_per_face", {}), counts.get("eigen_flop_per_face", {})
        wanted = self.scale_names if column == MEAN else (column,)
        if any(size not in flop for size in wanted):
            return None
        return sum(flop[size] + eigen.get(size, 0) for size in wanted) / len(wanted)


def restored_faces(
    methods: Sequence[str], scales: Sequence[int], folder: Path
) -> dict[str, dict[str, Path]]:
    """Files of restored test faces by method and size, of those that have any."""
    found = {
        name: {f"x{s}": path for s in scales if (path := folder / name / f"x{s}.npy").exists()}
        for name in methods
    }
    return {name: paths for name, paths in found.items() if paths}


def read_fidelity(methods: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """PSNR and SSIM by method and size, from a file for each; bicubic's stand in each of them."""
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        for name, columns in read_json(folder / f"{method}.json").items():
            found.setdefault(name, {}).update(columns)
    return {name: found[name] for name in ("bicubic", *methods) if name in found}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds a mapping.

    Raises:
        UserError: it is missing or holds something else.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` writes it") from None
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping by method")
    return values
