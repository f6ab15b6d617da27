"""Which files of a profile belong to the rows that a report is asked for.

Rows that are no more named leave their files behind, so nothing here is found by listing a folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsr_fer.errors import UserError


def training_runs(rows: Sequence[str], scales: Sequence[int], metrics: Path) -> dict[str, Path]:
    """Folders of training curves by run: "pretrain" and what was trained for each of the rows."""
    runs = ["pretrain"]
    for row in rows:
        if row.startswith("fsr_"):
            runs.append(row.replace("_", "/", 1))
        possible = [f"finetune/{row}", f"sr/{row}", *(f"sr/{row}_x{scale}" for scale in scales)]
        runs += [run for run in possible if (metrics / run).is_dir()]
    if "meta_sr_retrained" in rows and (metrics / "sr_faces").is_dir():
        runs.append("sr_faces")
    return {run: metrics / run / "plots/metrics" for run in runs}


def restored_faces(
    rows: Sequence[str], scales: Sequence[int], folder: Path
) -> dict[str, dict[str, Path]]:
    """Files of restored test faces by row and size, of the rows and sizes that have any."""
    found = {
        row: {f"x{s}": path for s in scales if (path := folder / row / f"x{s}.npy").exists()}
        for row in rows
    }
    return {row: paths for row, paths in found.items() if paths}


def read_fidelity(rows: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """PSNR and SSIM by row and size, from a file for each row; bicubic's stand in each of them."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        for name, columns in read_json(folder / f"{row}.json").items():
            found.setdefault(name, {}).update(columns)
    order = ["bicubic", *rows]
    return {name: found[name] for name in order if name in found}


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
        raise UserError(f"{path}: expected a mapping by row")
    return values
