"""The image super-resolution rows: their networks, and faces through one of these."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fsr_fer.errors import UserError
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.pictures import as_picture, as_values
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import fill_network, load_tensors, save_network
from fsr_fer.settings import FULL_SIZE, MetaSrSettings, RcanSettings, build

RCAN_SCALES = (2, 3, 4, 8)
"""RCAN has a network for each of these; Meta-SR has one for all."""

FOLDERS = {"rcan": "sr", "meta_sr": "sr", "meta_sr_retrained": "sr_faces"}
"""Where the networks of each row lie below ``models/<profile>``."""


class Restorer(nn.Module):
    """A network on pictures: small faces uint8 [B, n, n, 3] -> uint8 [B, 100, 100, 3]."""

    def __init__(self, network: Rcan | MetaSr) -> None:
        super().__init__()
        self.network = network

    def forward(self, small: Tensor) -> Tensor:
        return as_picture(self.network(as_values(small), FULL_SIZE))


def network_files(row: str, models: Path) -> dict[int, Path]:
    """The file that a row restores faces with at each scale from 2 to 24 that it exists at."""
    folder = models / FOLDERS[row]
    if row == "rcan":
        return {scale: folder / f"rcan_x{scale}.safetensors" for scale in RCAN_SCALES}
    return dict.fromkeys(range(2, 25), folder / f"{row}.safetensors")


def save_super_resolution(path: Path, network: Rcan | MetaSr) -> None:
    """Write RCAN or Meta-SR with its settings."""
    header: dict[str, Any]
    if isinstance(network, Rcan):
        header = {"rcan": asdict(network.settings), "scale": network.scale}
    else:
        header = {"meta_sr": asdict(network.settings)}
    save_network(path, network, header)


def load_super_resolution(path: Path) -> Rcan | MetaSr:
    """Read RCAN or Meta-SR in eval mode, frozen.

    Raises:
        UserError: the file is no such network.
    """
    header, tensors = load_tensors(path)
    network: Rcan | MetaSr
    if "rcan" in header:
        settings = build(RcanSettings, header["rcan"], f"{path}: rcan")
        network = Rcan(settings, int(header["scale"]))
    elif "meta_sr" in header:
        network = MetaSr(build(MetaSrSettings, header["meta_sr"], f"{path}: meta_sr"))
    else:
        raise UserError(f"{path} holds neither rcan nor meta_sr; it was not written by us")
    fill_network(path, network, tensors)
    return network
