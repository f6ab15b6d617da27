"""Trained networks on disk: one safetensors file, the settings that rebuild the network in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fsr_fer.errors import UserError
from fsr_fer.files import replacing
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.settings import ExtractorSettings, GeneratorSettings, build

#: The header's one entry: the network's settings as JSON.
HEADER = "fsr_fer"


def save_extractor(path: Path, network: CovPoolFER, class_names: tuple[str, ...]) -> None:
    """Write CovPoolFER with its settings and class names."""
    settings = asdict(network.extractor.settings)
    save_network(path, network, {"extractor": settings, "class_names": class_names})


def load_extractor(path: Path) -> tuple[CovPoolFER, tuple[str, ...]]:
    """Read CovPoolFER in eval mode, frozen, and its class names.

    Raises:
        UserError: the file is no such network.
    """
    header, tensors = load_tensors(path, "extractor", "class_names")
    settings = build(ExtractorSettings, header["extractor"], f"{path}: extractor")
    class_names = tuple(header["class_names"])
    network = CovPoolFER(settings, len(class_names))
    fill_network(path, network, tensors)
    return network, class_names


def save_generator(path: Path, network: Generator, settings: GeneratorSettings) -> None:
    """Write the generator with its settings."""
    save_network(path, network, {"generator": asdict(settings)})


def load_generator(path: Path) -> Generator:
    """Read the generator in eval mode, frozen.

    Raises:
        UserError: the file is no such network.
    """
    header, tensors = load_tensors(path, "generator")
    network = Generator(build(GeneratorSettings, header["generator"], f"{path}: generator"))
    fill_network(path, network, tensors)
    return network


def sha256_of(path: Path) -> str:
    """The hash of a network's file, by which features name their extractor."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_network(path: Path, network: nn.Module, header: dict[str, Any]) -> None:
    """Write a network with what rebuilds it."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # One entry only: safetensors writes several in a random order, so equal networks would give
    # different bytes, and DVC would take them for a change.
    metadata = {HEADER: json.dumps(header, sort_keys=True)}
    with replacing(path) as part:
        save_file(tensors, part, metadata)


def load_tensors(path: Path, *keys: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``save_network`` wrote: the header, which must have ``keys``, and the tensors.

    Raises:
        UserError: the file is no such network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from error
    header = json.loads(metadata.get(HEADER, "{}"))
    if missing := [key for key in keys if key not in header]:
        raise UserError(f"{path} has no {missing[0]!r} in its header; it was not written by us")
    return header, tensors


def fill_network(path: Path, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put tensors into a network, all of them, and freeze it in eval mode.

    Raises:
        UserError: they do not fit.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} does not fit its own settings: {reason}") from error
    network.eval().requires_grad_(False)
