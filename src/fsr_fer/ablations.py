"""What each part of the method is worth: named settings that DVC runs as experiments.

One entry per question; ``{profile}`` stands for the selected profile. The paper asks none of these.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsr_fer.errors import UserError
from fsr_fer.yaml12 import load_strictly

_NO_VARIATIONS = (
    "profiles.{profile}.best.augment.zoom=0.0",
    "profiles.{profile}.best.augment.shift_pixels=0.0",
    "profiles.{profile}.best.augment.hidden_share=0.0",
)
ABLATIONS: dict[str, tuple[str, ...]] = {
    "no-gan": ("losses.gan_weight=0.0",),
    "no-perceptual": ("losses.perceptual_weight=0.0",),
    "no-feature-l2": ("losses.feature_l2_weight=0.0",),
    "feature-l2-mean": ("losses.feature_l2_reduction=mean",),
    "literal-generator": ("profiles.{profile}.fsr.generator.long_skip=false",),
    "residual-generator": ("profiles.{profile}.fsr.generator.long_skip=true",),
    "probability-from-lr": ("reweight.probability_from=lr",),
    "weight-not-detached": ("reweight.detach=false",),
    "weight-on-discriminator": ("reweight.discriminator=true",),
    "best-without-teacher": ("profiles.{profile}.best.teacher.network=none",),
    "best-without-average": (
        "profiles.{profile}.best.average_decay=0.0",
        "profiles.{profile}.best.teacher.network=none",
    ),
    "best-without-variations": _NO_VARIATIONS,
    "best-schedule-alone": (  # mixed_resolution, trained as long and as fast as best
        "profiles.{profile}.best.average_decay=0.0",
        "profiles.{profile}.best.teacher.network=none",
        *_NO_VARIATIONS,
    ),
}


def row_of(name: str) -> str:
    """The row that it takes a part away from, and is compared with."""
    if all(override.startswith("profiles.{profile}.best.") for override in ABLATIONS[name]):
        return "best"
    if all(override.startswith("reweight.") for override in ABLATIONS[name]):
        return "fsr_reweighted"
    return "fsr_plain"


def overridden(params: Mapping[str, Any], name: str, profile: str) -> dict[str, Any]:
    """Declared params, by dotted key, with the values that the ablation changes among them.

    Raises:
        KeyError: a value it changes is not among them.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(params))
    for override in ABLATIONS[name]:
        key, _, text = override.format(profile=profile).partition("=")
        declared = next((d for d in changed if key.startswith(f"{d}.")), None)
        if declared is None:
            raise KeyError(f"{name} changes {key}, which is not declared")
        *above, last = key.removeprefix(f"{declared}.").split(".")
        section = changed[declared]
        for part in above:
            section = section[part]
        section[last] = load_strictly(f"value: {text}".encode())["value"]
    return changed


def queue(root: Path, names: Sequence[str], profile: str) -> list[str]:
    """Put these ablations, all if there are none, into DVC's queue of experiments.

    An experiment is named ``profile-ablation``; those names come back.

    Raises:
        UserError: a name is unknown, or DVC refuses; DVC's own words are then on stderr.
    """
    for name in names:
        if name not in ABLATIONS:
            raise UserError(f"{name!r} is no ablation; known: {', '.join(ABLATIONS)}")
    queued = []
    for name in names or ABLATIONS:
        experiment = f"{profile}-{name}".replace("_", "-")
        overrides = [value.format(profile=profile) for value in ABLATIONS[name]]
        command = [sys.executable, "-m", "dvc", "exp", "run", "--queue", "-n", experiment]
        for override in overrides:
            command += ["-S", override]
        if subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL).returncode:
            raise UserError(f"`dvc exp run --queue -n {experiment}` failed; see above")
        queued.append(experiment)
    return queued
