"""Small faces through a network of image super-resolution."""

from torch import Tensor, nn

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.models.image_tensors import as_picture, as_values


class Restorer(nn.Module):
    """Rcan or MetaSr on pictures: small faces uint8 [B, n, n, 3] -> uint8 [B, 100, 100, 3]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, small: Tensor) -> Tensor:
        return as_picture(self.network(as_values(small), FULL_SIZE))
