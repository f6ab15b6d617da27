"""The record of a stage's run: when, how long, on which device, with which versions.

Two runs must give the same bytes, so none of this may stand in an output. It lies in
``.runs/<stage>/<key>.json`` of the main workspace (DVC_ROOT, which experiments in temporary folders
share), outside Git and DVC. An entry of dvc.lock leads to its key as well.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsr_fer.common.files import read_json, write_json
from fsr_fer.pipeline.provenance.hashing import hashes_of, run_key

if TYPE_CHECKING:
    from fsr_fer.pipeline.stage import Stage

RECORDS = ".runs"
PACKAGES = ("numpy", "torch", "safetensors", "pillow", "scikit-image")


def write_record(stage: Stage, started: float) -> Path:
    """Write the record of a run that has just made all outputs (``started``: as of time.time)."""
    folder = Path(os.environ.get("DVC_ROOT", "."), RECORDS, stage.name)
    path = folder / f"{stage.fingerprint()}.json"
    # Looked up, not imported: a stage that never chose a device ran on the CPU, without torch.
    module = sys.modules.get("fsr_fer.common.device")
    versions = {"platform": platform.platform(), "python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):  # scikit-image, on a machine for training
            versions[name] = metadata.version(name)
    record = {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 2),
        "processor_seconds": round(time.process_time(), 2),
        "device": str(module.choose_device()) if module else "cpu",
        "machine": f"{processor_name()}, {os.cpu_count()} cores",
        "versions": versions,
        "outs": hashes_of(stage.outs),
    }
    write_json(path, record)
    return path


def record_of(root: Path, name: str, entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the run that an entry of dvc.lock describes; None if it did not run here."""
    params = entry.get("params", {})
    inputs = {dep["path"]: dep.get("md5", "") for dep in entry.get("deps", [])}
    outs = {out["path"]: out.get("md5", "") for out in entry.get("outs", [])}
    code = "".join(params.get("code.json", {}).values())
    key = run_key(name, params.get("settings.json", {}), inputs, code)
    record = read_json(root / RECORDS / name / f"{key}.json")
    return record if record.get("outs") == outs else None


def last_runs(root: Path) -> dict[str, dict[str, Any]]:
    """The record of the last run of each stage here, by its full name."""
    files = sorted((root / RECORDS).glob("*/*.json"), key=lambda path: path.stat().st_mtime)
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in files}


def processor_name() -> str:
    """The CPU as the system names it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:  # not Linux
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()
