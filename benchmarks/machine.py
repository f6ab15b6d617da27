"""What a benchmark runs with and on, and its figures as a file."""

import importlib.metadata
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from fsr_fer.common.files import write_text
from fsr_fer.pipeline.profiles import profile_values, read_yaml
from fsr_fer.pipeline.provenance.record import processor_name

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "FSR_FER_DEVICE": "cpu"}
"""Of processes that a benchmark starts; taken before tests are imported, which pin arithmetic."""

sys.path.insert(0, str(ROOT))  # some benchmarks use what tests do


def values_of(profile: str) -> dict[str, Any]:
    """A profile's values of params.yaml, by section."""
    return profile_values(read_yaml(ROOT / "params.yaml"), profile)


def describe_machine(*packages: str) -> dict[str, Any]:
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "missing"
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def write_results(script: str | Path, results: dict[str, Any], *, add: bool = False) -> None:
    """Write SCRIPT.json, in which a measurement, a dict of plain values, is one line.

    With ``add``, what the file holds besides stays.
    """
    path = Path(script).with_suffix(".json")
    if add and path.exists():
        results = json.loads(path.read_text()) | results
    text = json.dumps(results, indent=1, sort_keys=True, allow_nan=False)
    text = re.sub(r"\{[^{}]*\}", lambda found: " ".join(found[0].split()), text)
    write_text(path, text + "\n")
