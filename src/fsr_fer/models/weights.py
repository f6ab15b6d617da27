"""Trained networks on disk: safetensors with the settings that rebuild them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing
from fsr_fer.common.settings import build
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import (
    ExtractorSettings,
    GeneratorSettings,
    MetaSrSettings,
    RcanSettings,
)

HEADER = "fsr_fer"
"""The header's one entry: the network's settings, and what else rebuilds it, as JSON."""

KINDS: dict[type[nn.Module], tuple[str, type]] = {
    CovPoolFER: ("extractor", ExtractorSettings),
    Generator: ("generator", GeneratorSettings),
    Rcan: ("rcan", RcanSettings),
    MetaSr: ("meta_sr", MetaSrSettings),
}
"""What may be in a file: its settings' name in the header, and their class."""

Network = TypeVar("Network", bound=nn.Module)


PACKED = "packed"
"""In the header of a packed model: its calibration and what was measured of it."""


def save_network(path: Path, network: nn.Module, packed: Mapping[str, Any] | None = None) -> None:
    """Write a network with its settings, if it has any; equal networks give equal bytes.

    ``packed`` is what the stage ``pack`` adds: calibration and measured accuracy, for JSON.
    """
    settings: Any = getattr(network, "settings", None)
    header = {_name(type(network)): {} if settings is None else asdict(settings)}
    for more in ("class_names", "scale"):
        if hasattr(network, more):
            header[more] = getattr(network, more)
    if packed is not None:
        header[PACKED] = dict(packed)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # One entry only: safetensors writes several in a random order, so equal networks would give
    # different bytes, and DVC would take them for a change.
    with replacing(path) as part:
        write_tensors(tensors, part, {HEADER: json.dumps(header, sort_keys=True)})


def _name(kind: type[nn.Module]) -> str:
    """In the header of a file: of which class its network is."""
    return KINDS[kind][0] if kind in KINDS else kind.__name__


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file; OSError if the disk refuses it.

    safetensors' ``save_file`` would raise its own exception.
    """
    path.write_bytes(save(tensors, metadata))


def load_network(path: Path, *kinds: type[Network]) -> Network:
    """Load a network of one of these ``kinds``, in eval mode, frozen, on the CPU.

    Each is one of ``KINDS``, or a FaceClassifier that is made from the number of classes.
    UserError if the file is missing or damaged, or holds another kind of network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(json.loads((file.metadata() or {}).get(HEADER, "{}")))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from error
    kind = next((kind for kind in kinds if _name(kind) in header), None)
    if kind is None:
        raise UserError(f"{path} holds no {' or '.join(map(_name, kinds))}")
    arguments: list[Any] = []
    if kind in KINDS:
        name, settings_class = KINDS[kind]
        arguments.append(build(settings_class, header[name], f"{path}: {name}"))
    try:
        if issubclass(kind, FaceClassifier):
            arguments.append(len(header["class_names"]))
        elif kind is Rcan:
            arguments.append(header["scale"])
        network = kind(*arguments)
        if isinstance(network, FaceClassifier):
            network.class_names = tuple(header["class_names"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its header is damaged: {error}") from None
    check_tensors(path, network, tensors)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def check_tensors(path: Path, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise UserError unless ``tensors`` fit ``network`` and are finite."""
    wanted = network.state_dict()
    for name in [*wanted, *tensors]:
        if name not in tensors:
            raise UserError(f"{path} has no tensor {name}")
        if name not in wanted:
            raise UserError(f"{path} has a tensor {name:.80} that the network does not know")
        found, expected = list(tensors[name].shape), list(wanted[name].shape)
        if found != expected:
            raise UserError(f"{path}: {name} is {found}, expected {expected}")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise UserError(f"{path}: {name} has values that are not finite")
