"""What a stage leaves behind about its run: when, how long, with which versions, on which device.

None of this may stand in an output, for two runs must give the same bytes. So it lies beside them,
in ``.runs/<stage>/<key>.json`` of the main workspace (DVC_ROOT, which experiments in temporary
folders share), outside Git and DVC.

The key is made of the hashes of all inputs and outputs and of the params. All of these are in
dvc.lock, so a later reader finds the record of exactly the run that an entry of dvc.lock speaks of,
in any revision and any experiment; a run that was restored from a cache filled elsewhere has none.
The record keeps the hashes too: it then is a witness against a dvc.lock edited by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsr_fer.files import write_json
from fsr_fer.provenance.hashing import hashes_of

if TYPE_CHECKING:
    from fsr_fer.stage import Stage

RECORDS_FOLDER = ".runs"


def record_key(params: Mapping[str, Any], deps: Mapping[str, str], outs: Mapping[str, str]) -> str:
    """The name of a record: params by dotted key, MD5 of deps and outs by path."""
    text = json.dumps([dict(params), dict(deps), dict(outs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_record(stage: Stage, started: float) -> Path:
    """Write the record of a run that has just made all outputs (``started``: as of time.time)."""
    seconds = time.time() - started
    params, deps, outs = dict(stage.values), stage.input_hashes, hashes_of(stage.outs)
    folder = Path(os.environ.get("DVC_ROOT", "."), RECORDS_FOLDER, stage.instance)
    path = folder / f"{record_key(params, deps, outs)}.json"
    record = {
        "stage": stage.instance,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "device": _device(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(),
        "git": _git(stage),
        "params": params,
        "deps": deps,
        "outs": outs,
    }
    write_json(path, record)
    return path


def _device() -> str:
    """What the stage computed on."""
    # Looked up, not imported: a stage that never chose a device ran on the CPU, without torch.
    module = sys.modules.get("fsr_fer.device")
    device = str(module.choose_device()) if module else "cpu"
    if device.startswith("cuda"):
        return f"{device} ({sys.modules['torch'].cuda.get_device_name(device)})"
    return f"{device} ({processor_name()}, {os.cpu_count()} cores)"


def processor_name() -> str:
    """The CPU as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _packages() -> dict[str, str]:
    """Versions of all that the project itself asks for, used by this stage or not."""
    versions = {}
    try:
        requirements = metadata.requires("fsr-fer") or []
    except metadata.PackageNotFoundError:  # run from a pack
        requirements = ["torch", "numpy", "safetensors"]
    for requirement in requirements:
        if "extra ==" in requirement:
            continue
        name = requirement.partition(";")[0].strip()
        name = name[: next((i for i, c in enumerate(name) if c in "<>=!~ ["), len(name))]
        versions[name] = metadata.version(name)
    return versions


def _git(stage: Stage) -> dict[str, Any]:
    """The commit and which of the files that decide the result were not as committed."""

    def git(*words: str) -> list[str]:
        try:
            done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        except FileNotFoundError:  # no Git on this machine
            return []
        return done.stdout.splitlines() if done.returncode == 0 else []

    commit = git("rev-parse", "HEAD")
    if not commit:
        return {"commit": None, "uncommitted": []}
    files = ["params.yaml", "dvc.yaml", *(path.as_posix() for path in stage.deps)]
    return {"commit": commit[0], "uncommitted": git("diff", "--name-only", "HEAD", "--", *files)}
