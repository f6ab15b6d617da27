"""Published weights of RCAN and Meta-SR, renamed to our names, with every tensor checked.

Read are state dicts of tensors alone; a file with code in it is refused. Known are the names of the
authors' own files (RCAN_BIX2.pt, model_1000.pt) and BasicSR's of RCAN.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import SettingsError
from fsr_fer.models.image_tensors import MeanShift
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import MetaSrSettings, RcanSettings
from fsr_fer.models.weights import check_tensors

Kind = Literal["rcan", "meta-sr"]

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
# What training programs put around a state dict, and before each of its names.
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "generator", "model", "net")
PREFIXES = r"^((module|_orig_mod|generator|model|net)\.)+"


def read_official(kind: Kind, path: Path) -> tuple[str, Rcan | MetaSr]:
    """The network in a published file, and the name of the ``sr`` stage whose place it takes.

    Raises:
        UserError: the file is missing, no state dict, or a tensor (the message names it) is wrong.
    """
    tensors = _state_dict(path)
    if kind == "rcan" and any(name.startswith("conv_first") for name in tensors):
        tensors = _from_basicsr(path, tensors)
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
    """The file's tensors in float32, without wrappers and prefixes of their names."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} holds more than tensors, or is damaged, and was not opened; "
            "wanted is a state dict as the authors published it"
        ) from None
    except Exception:  # damaged bytes make the reader fail in every way there is
        raise UserError(f"{path} is no file of torch's, or is damaged") from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    names: dict[str, str] = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{path}: {name!r} is a {type(tensor).__name__}, not a tensor")
        if wrong := _why_no_weights(tensor):
            raise UserError(
                f"{path}: {name:.80} is {wrong}; weights are dense tensors of float32, float64, "
                "float16 or bfloat16"
            )
        bare = re.sub(PREFIXES, "", name)
        if bare in names:
            raise UserError(
                f"{path} has {names[bare]:.80} and {name:.80}, which are one tensor's names"
            )
        names[bare] = name
    return {bare: content[name].float() for bare, name in names.items()}


def _why_no_weights(tensor: Tensor) -> str:
    """Why a tensor cannot be weights; empty if it can."""
    if tensor.layout != torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    if tensor.device.type != "cpu":
        return "without values"
    if tensor.dtype not in FLOATS:
        return str(tensor.dtype).removeprefix("torch.")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return "larger than what is stored of it"
    return ""


def _from_basicsr(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """BasicSR's names to the authors': it has no mean shifts and reads 0..255 all the same."""
    groups = _count(path, tensors, r"body\.(\d+)\.")
    blocks = _count(path, tensors, r"body\.\d+\.residual_group\.(\d+)\.")
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
