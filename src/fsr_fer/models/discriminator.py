"""The discriminator: ESRGAN's without batch normalisation (paper, section 3.4)."""

from torch import Tensor, nn

from fsr_fer.models.generator import LEAK, he_init
from fsr_fer.models.settings import DiscriminatorSettings


class Discriminator(nn.Module):
    """Log-matrices [B, 1, d, d] -> scores [B]; linear output, low for real features.

    Each number of filters stands for a 3x3 convolution and a 4x4 one that halves the map.
    """

    def __init__(self, settings: DiscriminatorSettings, feature_dim: int) -> None:
        super().__init__()
        side = feature_dim >> len(settings.filters)
        layers: list[nn.Module] = []
        channels = 1
        # Not in place: the gradient penalty differentiates through these twice.
        for filters in settings.filters:
            layers += [
                nn.Conv2d(channels, filters, 3, padding=1, bias=settings.bias),
                nn.LeakyReLU(LEAK),
                nn.Conv2d(filters, filters, 4, stride=2, padding=1, bias=settings.bias),
                nn.LeakyReLU(LEAK),
            ]
            channels = filters
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels * side * side, settings.hidden_dim),
            nn.LeakyReLU(LEAK),
            nn.Linear(settings.hidden_dim, 1),
        )
        # With torch's own initialisation the output is almost constant and the penalty almost 0.
        he_init(self)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.classifier(self.features(features).flatten(1)).squeeze(1)
        return result
