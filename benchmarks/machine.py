"""What a benchmark runs with and on, and its figures as a file."""

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fsr_fer.common.files import write_text
from fsr_fer.pipeline.profiles import profile_values, read_yaml
from fsr_fer.pipeline.provenance.record import processor_name

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"


def values_of(profile: str) -> dict[str, Any]:
    """A profile's values of params.yaml, by section."""
    return profile_values(read_yaml(PARAMS), profile)


def describe_machine(packages: Iterable[str]) -> dict[str, Any]:
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


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write JSON in which a measurement, a dict of plain values, is one line."""
    text = json.dumps(results, indent=1, sort_keys=True, allow_nan=False)
    text = re.sub(r"\{[^{}]*\}", lambda found: " ".join(found[0].split()), text)
    write_text(path, text + "\n")
