"""The image super-resolution rows: where their networks lie, and faces through one of these."""

from pathlib import Path

from torch import Tensor, nn

from fsr_fer.models.pictures import as_picture, as_values
from fsr_fer.settings import FULL_SIZE

RCAN_SCALES = (2, 3, 4, 8)
"""RCAN has a network for each of these; Meta-SR has one for all."""

FOLDERS = {"rcan": "sr", "meta_sr": "sr", "meta_sr_retrained": "sr_faces"}
"""Where the networks of each row lie below ``models/<profile>``."""


class Restorer(nn.Module):
    """Rcan or MetaSr on pictures: small faces uint8 [B, n, n, 3] -> uint8 [B, 100, 100, 3]."""

    def __init__(self, network: nn.Module) -> None:
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
