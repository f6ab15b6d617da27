"""What the report is made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from fsr_fer.data.downsampling import small_side
from fsr_fer.data.manifest import Manifest
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.evaluation.predictions import HR, MEAN, PredictionTable
from fsr_fer.evaluation.settings import ReportSettings


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Everything ``write_report`` reads.

    ``methods`` are predictions, the baseline's first; those called ``imported``, the last ones, are
    other tools', whose cost, and perhaps confidence, is unknown. ``data`` is the profile's folder,
    with dataset/images.npy, downsample/x2.npy, restored/METHOD/x2.npy. ``settings`` is
    settings.json. ``cost``: method, kind of count, size. ``fidelity``: method ("bicubic" too),
    size, then "psnr" in dB and "ssim".
    """

    profile: str
    source: str
    scales: tuple[int, ...]
    manifest: Manifest
    methods: Mapping[str, PredictionTable]
    data: Path
    downsample: DownsampleSettings
    report: ReportSettings
    seed: int
    settings: Mapping[str, Any]
    cost: Mapping[str, Mapping[str, Mapping[str, int]]]
    fidelity: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    imported: tuple[str, ...] = ()

    @property
    def scale_names(self) -> tuple[str, ...]:
        return tuple(f"x{scale}" for scale in self.scales)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of faces: "hr", "x2", "x3" and so on."""
        return (HR, *self.scale_names)

    @property
    def factors(self) -> dict[str, int]:
        """Downsampling factor of each of ``sizes``; 1 at full size."""
        return dict(zip(self.sizes, (1, *self.scales), strict=True))

    def title(self, size: str) -> str:
        """A size as the report names it: "x8, 13 px"."""
        if size == MEAN:
            first, last = self.scale_names[0], self.scale_names[-1]
            return f"mean of {first}" + f"–{last}" * (first != last)
        return f"{'HR' if size == HR else size}, {small_side(self.factors[size])} px"

    @property
    def baseline(self) -> str:
        return next(iter(self.methods))

    @cached_property
    def operations(self) -> dict[str, dict[str, float]]:
        """Operations per face by method of ours and size; with all scales, their mean too."""
        table: dict[str, dict[str, float]] = {}
        for name in (name for name in self.methods if name not in self.imported):
            cost = self.cost[name]
            plain, eigen = cost["flop_per_face"], cost["eigen_flop_per_face"]
            row = table[name] = {size: float(plain[size] + eigen[size]) for size in plain}
            if set(self.scale_names) <= plain.keys():
                row[MEAN] = fmean(row[size] for size in self.scale_names)
        return table


def read_fidelity(methods: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """PSNR and SSIM by method and size; each METHOD.json has bicubic's too."""
    found: dict[str, dict[str, Any]] = {}
    for name in methods:
        if (path := folder / f"{name}.json").exists():
            values = json.loads(path.read_bytes())
            found.setdefault("bicubic", {}).update(values["bicubic"])
            found[name] = values[name]
    return found
