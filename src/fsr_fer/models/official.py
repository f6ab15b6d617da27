"""Published weights of RCAN and Meta-SR, brought to our names and checked to the last tensor.

Read are state dicts of tensors alone: a file that would run code when opened is refused. Known are
the names of the authors' own files (RCAN_BIX2.pt, model_1000.pt) and BasicSR's of RCAN.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fsr_fer.errors import UserError
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.pictures import MeanShift
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import fill_network
from fsr_fer.settings import MetaSrSettings, RcanSettings, SettingsError

Kind = Literal["rcan", "meta-sr"]


def read_official(kind: Kind, path: Path) -> tuple[str, Rcan | MetaSr]:
    """The network in a published file, and the name of the ``sr`` stage whose place it takes.

    Raises:
        UserError: the file is missing, is no state dict of tensors, or lacks, adds or misshapes a
            tensor; the message names the first one.
    """
    tensors = _state_dict(path)
    if kind == "rcan" and any(name.startswith("conv_first") for name in tensors):
        tensors = _from_basicsr(tensors)
    try:
        network = _rcan(path, tensors) if kind == "rcan" else _meta_sr(path, tensors)
    except SettingsError as error:
        raise UserError(f"{path} is no such network: {error}") from None
    fill_network(path, network, tensors)
    return f"rcan_x{network.scale}" if isinstance(network, Rcan) else "meta_sr", network


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{path} holds more than tensors, or is damaged, and was not opened ({reason}); "
            "wanted is a state dict as the authors published it"
        ) from None
    except Exception as error:  # damaged bytes make the reader fail in every way there is
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is no file of torch's: {reason}") from None
    for wrapper in ("params_ema", "params", "state_dict"):  # BasicSR's and others' outer shell
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{path}: {name!r} is a {type(tensor).__name__}, not a tensor")
    return {name.removeprefix("module."): tensor.float() for name, tensor in content.items()}


def _from_basicsr(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """BasicSR's names to the authors': it has no mean shifts and reads 0..255 all the same."""
    groups = _count(tensors, r"body\.(\d+)\.")
    blocks = _count(tensors, r"body\.\d+\.residual_group\.(\d+)\.")
    block = r"body\.(\d+)\.residual_group\.(\d+)\.rcab\."
    rules = (
        (r"conv_first\.", "head.0."),
        (block + r"([02])\.", r"body.\1.body.\2.body.\3."),
        (block + r"3\.attention\.1\.", r"body.\1.body.\2.body.3.conv_du.0."),
        (block + r"3\.attention\.3\.", r"body.\1.body.\2.body.3.conv_du.2."),
        (r"body\.(\d+)\.conv\.", rf"body.\1.body.{blocks}."),
        (r"conv_after_body\.", f"body.{groups}."),
        (r"upsample\.(\d+)\.", r"tail.0.\1."),
        (r"conv_last\.", "tail.1."),
    )
    renamed = {}
    for name, tensor in tensors.items():
        matches = (re.subn("^" + pattern, new, name) for pattern, new in rules)
        renamed[next((target for target, found in matches if found), name)] = tensor
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        for key, tensor in MeanShift(sign).state_dict().items():
            renamed[f"{name}.{key}"] = tensor
    return renamed


def _rcan(path: Path, tensors: dict[str, Tensor]) -> Rcan:
    filters = _shape(path, tensors, "head.0.weight")[0]
    squeezed = _shape(path, tensors, "body.0.body.0.body.3.conv_du.0.weight")[0]
    factor = _shape(path, tensors, "tail.0.0.weight")[0] // filters
    doublings = _count(tensors, r"tail\.0\.(\d+)\.") // 2 + 1
    settings = RcanSettings(
        groups=_count(tensors, r"body\.(\d+)\.body\."),
        blocks=_count(tensors, r"body\.0\.body\.(\d+)\.body\."),
        filters=filters,
        reduction=filters // max(squeezed, 1),
    )
    return Rcan(settings, 3 if factor == 9 else 2**doublings)


def _meta_sr(path: Path, tensors: dict[str, Tensor]) -> MetaSr:
    settings = MetaSrSettings(
        filters=_shape(path, tensors, "SFENet1.weight")[0],
        growth=_shape(path, tensors, "RDBs.0.convs.0.conv.0.weight")[0],
        blocks=_count(tensors, r"RDBs\.(\d+)\."),
        layers=_count(tensors, r"RDBs\.0\.convs\.(\d+)\."),
        hidden=_shape(path, tensors, "P2W.meta_block.0.weight")[0],
    )
    return MetaSr(settings)


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that ``pattern`` finds at the start of a name."""
    found = (re.match(pattern, name) for name in tensors)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _shape(path: Path, tensors: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in tensors:
        raise UserError(f"{path} has no tensor {name}, by which the network's size is known")
    return tensors[name].shape
