"""Checkpoints, from which an interrupted training resumes.

They lie outside DVC's outputs, which DVC deletes before a stage runs, in a folder named by a key of
all that the result depends on: params, data and code.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing
from fsr_fer.models.weights import write_tensors

STATE = "state.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The one file a training saves to and resumes from; without a folder nothing is kept."""

    folder: Path | None = None

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Replace the checkpoint; a kill while it is written leaves the one before."""
        if self.folder is None:
            return
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with replacing(self.folder / STATE) as part:
            write_tensors(plain, part, {"progress": json.dumps(progress)})

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved last, or None; UserError if the file is damaged."""
        if self.folder is None or not (path := self.folder / STATE).exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(file.metadata()["progress"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it to start over") from error


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under ``prefix.name``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unprefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of ``tensors`` that ``prefixed`` put under ``prefix``, under their own names."""
    start = prefix + "."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
