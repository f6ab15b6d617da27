"""What the report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fsr_fer.arrays import open_faces
from fsr_fer.data.manifest import Manifest
from fsr_fer.errors import UserError
from fsr_fer.predictions import HR, Predictions
from fsr_fer.report.origin import Origin
from fsr_fer.settings import DownsampleSettings

CHALLENGER = "mixed_resolution"
"""The row that a practitioner would try first: besides the baseline, all are compared with it."""


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Everything ``write_report`` reads.

    The first of ``rows`` is the baseline that the others are compared with. ``images_path`` is
    uint8 [N, 100, 100, 3] in the manifest's order and ``downsampled`` the same faces, uint8
    [N, h, w, 3], keyed "x2", "x3", ...; both are memory-mapped. ``downsample`` says how they were
    made and are put back. ``curves`` are folders of TSV files
    with a column ``step``, keyed by the run: runs whose keys agree up to the first "/" are drawn
    together ("fsr/plain", "fsr/reweighted"). ``confidence`` (of intervals) is between 0 and 1,
    ``calibration_bins`` are bins of the confidence of predictions. ``restored`` are the
    test faces that a row put back to full size, uint8 [N_test, 100, 100, 3], keyed by row and size,
    for rows that have any; ``fidelity`` how near they come: row ("bicubic" too), size, then "psnr"
    in dB and "ssim". ``cost`` is what ``fsr_fer.cost`` counts: row, then kind of count, then
    column. ``origin`` says what the report itself ran and read.
    """

    profile: str
    source: str
    class_names: tuple[str, ...]
    scales: tuple[int, ...]
    rows: Mapping[str, Predictions]
    manifest: Manifest
    images_path: Path
    downsampled: Mapping[str, Path]
    downsample: DownsampleSettings
    curves: Mapping[str, Path]
    effective_params: Mapping[str, Any]
    confidence: float
    resamples: int
    example_faces: int
    seed: int
    calibration_bins: int = 15
    restored: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    fidelity: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    cost: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not self.rows:
            raise UserError(
                "report: no row is named; name at least the baseline, for example bicubic"
            )
        test = self.manifest.rows("test")
        expected_ids = tuple(self.manifest.ids[i] for i in test)
        for name, predictions in self.rows.items():
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
        if missing := [name for name in self.scale_names if name not in self.downsampled]:
            raise ValueError(f"downsampled has no {missing[0]}")

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the scales in the order of params: "x2", "x3" and so on."""
        return tuple(f"x{scale}" for scale in self.scales)

    @property
    def columns(self) -> tuple[str, ...]:
        """The sizes at which faces are read: "hr", "x2", "x3" and so on."""
        return (HR, *self.scale_names)

    @property
    def baseline(self) -> str:
        """Name of the row the others are compared with."""
        return next(iter(self.rows))

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the rows that all others are compared with, the baseline first."""
        return tuple(dict.fromkeys([self.baseline, *({CHALLENGER} & set(self.rows))]))

    def predictions_path(self, row: str) -> str:
        """Where the predictions of a row lie."""
        return f"data/{self.profile}/predictions/{row}.csv"

    @cached_property
    def pixels(self) -> dict[str, int]:
        """Height of a face in pixels for each of ``columns``."""
        paths = {HR: self.images_path, **self.downsampled}
        return {name: open_faces(paths[name]).shape[1] for name in self.columns}
