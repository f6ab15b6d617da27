"""Training curves as dvclive leaves them: a TSV file per value, in a folder per player."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsr_fer.errors import UserError

POINTS = 400
"""More than a plot is wide; a longer curve is drawn as means of neighbouring steps."""

PLAYERS = {"g": "generator", "d": "discriminator"}

Runs = Mapping[str, "Curve"]


@dataclass(frozen=True)
class Curve:
    """Logged values (float64 [P]) at ascending steps (float64 [P]), P at most ``POINTS``."""

    steps: np.ndarray
    values: np.ndarray


def read_groups(folders: Mapping[str, Path]) -> dict[str, dict[str, Runs]]:
    """Curves by heading, then by the value's name, then by run.

    A heading is the part of the run's name before "/" with the player or phase that the value's
    name starts with: runs of another kind count their steps in another unit.

    Raises:
        UserError: a folder is missing, or a file in it is no table with a column ``step``.
    """
    groups: dict[str, dict[str, dict[str, Curve]]] = {}
    for run, folder in folders.items():
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; expected the training curves of {run!r}")
        for path in sorted(folder.rglob("*.tsv")):
            name = path.relative_to(folder).with_suffix("").as_posix()
            player, _, rest = name.rpartition("/")
            stage = run.split("/")[0]
            heading = f"{stage}: {PLAYERS.get(player, player)}" if player else stage
            groups.setdefault(heading, {}).setdefault(rest, {})[run] = read_curve(path)
    return {heading: dict(sorted(values.items())) for heading, values in groups.items()}


def read_curve(path: Path) -> Curve:
    """Read one TSV file: a column ``step`` and, last, the value.

    Raises:
        UserError: there is no such column, no line, or something that is no number.
    """
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t")
        header = next(lines, [])
        if "step" not in header or len(header) < 2:
            raise UserError(f"{path}: columns are {header}, expected step and a value")
        step = header.index("step")
        try:
            points = np.array([(float(line[step]), float(line[-1])) for line in lines])
        except (ValueError, IndexError) as error:
            raise UserError(f"{path}: a line is not two numbers ({error})") from None
    if not points.size:
        raise UserError(f"{path}: no step is listed")
    if len(points) > POINTS:
        points = np.stack([part.mean(axis=0) for part in np.array_split(points, POINTS)])
    return Curve(points[:, 0], points[:, 1])
