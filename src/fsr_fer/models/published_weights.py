"""Published weights of RCAN and Meta-SR, renamed to our names, with every tensor checked.

Read are state dicts of tensors alone; a file with code in it is refused. Known are the names of the
authors' own files (RCAN_BIX2.pt, model_1000.pt).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import SettingsError
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from fsr_fer.models.weights import check_tensors

Kind = Literal["rcan", "meta-sr"]

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def read_official(kind: Kind, path: Path) -> tuple[str, Rcan | MetaSr]:
    """The network in a published file, and the name of the ``sr`` stage whose place it takes.

    UserError if the file is missing or no state dict, or a tensor (which it names) is wrong.
    """
    tensors = _state_dict(path)
    try:
        with torch.device("meta"):  # sizes are checked before any memory is taken
            network = _rcan(path, tensors) if kind == "rcan" else _meta_sr(path, tensors)
    except SettingsError as error:
        raise UserError(f"{path} is no such network: {error}") from None
    check_tensors(path, network, tensors)
    network.load_state_dict(tensors, assign=True)
    network.eval().requires_grad_(False)
    return f"rcan_x{network.scale}" if isinstance(network, Rcan) else "meta_sr", network


def _state_dict(path: Path) -> dict[str, Tensor]:
    """The file's tensors in float32."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception:  # code in it is not run; damaged bytes fail in every way there is
        raise UserError(
            f"{path} holds more than tensors, or is damaged, and was not opened; "
            "wanted is a state dict as the authors published it"
        ) from None
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{path}: {name!r} is a {type(tensor).__name__}, not a tensor")
        stored = tensor.layout == torch.strided and tensor.device.type == "cpu"
        size = tensor.numel() * tensor.element_size()
        if not stored or tensor.dtype not in FLOATS or size > tensor.untyped_storage().nbytes():
            raise UserError(
                f"{path}: {name:.80} is {tensor.dtype}, {tensor.layout}; weights are dense tensors "
                "of float32, float64, float16 or bfloat16, stored whole"
            )
    return {name: tensor.float() for name, tensor in content.items()}


def _rcan(path: Path, tensors: dict[str, Tensor]) -> Rcan:
    filters = _filters(path, tensors, "head.0.weight")
    squeezed = _filters(path, tensors, "body.0.body.0.body.3.conv_du.0.weight")
    factor = _filters(path, tensors, "tail.0.0.weight") // filters
    # Convolutions have even numbers there, pixel shuffles the odd ones between them.
    doublings = _count(path, tensors, r"tail\.0\.(\d+)\.", step=2)
    settings = RcanSettings(
        groups=_count(path, tensors, r"body\.(\d+)\.body\."),
        blocks=_count(path, tensors, r"body\.0\.body\.(\d+)\.body\."),
        filters=filters,
        reduction=max(1, filters // squeezed),
    )
    return Rcan(settings, 3 if factor == 9 else 2**doublings)


def _meta_sr(path: Path, tensors: dict[str, Tensor]) -> MetaSr:
    settings = MetaSrSettings(
        filters=_filters(path, tensors, "SFENet1.weight"),
        growth=_filters(path, tensors, "RDBs.0.convs.0.conv.0.weight"),
        blocks=_count(path, tensors, r"RDBs\.(\d+)\."),
        layers=_count(path, tensors, r"RDBs\.0\.convs\.(\d+)\."),
        hidden=_filters(path, tensors, "P2W.meta_block.0.weight"),
    )
    return MetaSr(settings)


def _count(path: Path, tensors: Mapping[str, Tensor], pattern: str, step: int = 1) -> int:
    """How many numbers ``pattern`` finds at the start of names: 0, ``step``, 2 ``step``, ...

    Compared as text: a name may hold a number of any length.
    """
    found = {match[1]: name for name in tensors if (match := re.match(pattern, name))}
    expected = {str(number) for number in range(0, step * len(found), step)}
    if wrong := sorted(found.keys() - expected, key=len):
        raise UserError(
            f"{path} has a tensor {found[wrong[-1]]:.80}, but none of the numbers before it"
        )
    return len(found)


def _filters(path: Path, tensors: Mapping[str, Tensor], name: str) -> int:
    """How many filters a convolution or linear layer has, by the shape of its weight."""
    if name not in tensors:
        raise UserError(f"{path} has no tensor {name}, by which the network's size is known")
    shape = list(tensors[name].shape)
    if len(shape) < 2 or 0 in shape:
        raise UserError(f"{path}: {name} is {shape}, no weight of a layer")
    return shape[0]
