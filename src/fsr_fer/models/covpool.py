"""CovPoolFER: second-order features of a face and the classifier above them.

Acharya et al. 2018, layers and constants as in their code. ``extractor`` ends at the log-matrix F
(equations 1 and 2), ``classifier`` holds C() and the logits.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fsr_fer.common.distributed import SumOverAll, world_size
from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.settings import ExtractorSettings
from fsr_fer.models.spd import BiMap, covariance_pool, log_eig
from fsr_fer.resize import imresize

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey level (ITU-R BT.601)."""

# As in CovPoolFER's code.
COVARIANCE_RIDGE = 1e-4
EIGENVALUE_MIN, EIGENVALUE_MAX = 1e-4, 1e4  # bounds of ReEig
BATCH_NORM_EPS = 1e-3
INIT_STD = 0.1  # of the truncated normal that all weights start from


def standardise(images: Tensor) -> Tensor:
    """Per-image standardisation: [B, H, W, 3] of 0..255, any dtype -> float32 [B, 3, H, W].

    (x - mean) / max(std, 1 / sqrt(n)) over all n = 3*H*W values, population std.
    """
    # In the order of memory, in which convolutions are fastest too; channels first come last.
    values = images.flatten(1).to(torch.float32)
    values = values - values.mean(dim=1, keepdim=True)
    root = values.shape[1] ** 0.5
    std = torch.linalg.vector_norm(values, dim=1, keepdim=True) / root  # 8 times torch.std's speed
    return (values / std.clamp_min(1 / root)).view(images.shape).permute(0, 3, 1, 2)


class BetaNorm(nn.Module):
    """Batch normalisation with a learned shift and no learned scale, over dimension 1."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.beta = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, values: Tensor) -> Tensor:
        if self.training and world_size() > 1:
            return self._over_all_processes(values)
        return functional.batch_norm(
            values,
            self.running_mean,
            self.running_var,
            bias=self.beta,
            training=self.training,
            momentum=self.momentum,
            eps=BATCH_NORM_EPS,
        )

    def _over_all_processes(self, values: Tensor) -> Tensor:
        """Training's normalisation with mean and variance over the batch of all processes."""
        rest = [dim for dim in range(values.dim()) if dim != 1]
        shape = [-1 if dim == 1 else 1 for dim in range(values.dim())]
        own = values.numel() // values.shape[1]
        sums = SumOverAll.apply(torch.cat([values.sum(rest), values.new_tensor([own])]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = SumOverAll.apply(centred.square().sum(rest)) / count
        with torch.no_grad():
            unbiased = variance * count / (count - 1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return centred * (variance + BATCH_NORM_EPS).rsqrt().view(shape) + self.beta.view(shape)


class FeatureExtractor(nn.Module):
    """F() and SPD(): standardised faces [B, 3, 100, 100] -> features [B, d, d].

    The features are log-matrices of the covariance of the last feature maps (equations 1 and 2), or
    with ``pooling: mean`` the means of d * d maps.
    """

    shrink: Tensor
    grey: Tensor

    def __init__(self, settings: ExtractorSettings) -> None:
        super().__init__()
        self.settings = settings
        inputs = (1 if settings.grey else 3, *settings.widths[:-1])
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1, bias=False)
            for i, o in zip(inputs, settings.widths, strict=True)
        )
        self.norms = nn.ModuleList(
            BetaNorm(width, settings.batch_norm_momentum) for width in settings.widths
        )
        self.bimap: BiMap | None = None
        if settings.pooling == "covariance":
            self.bimap = BiMap(settings.widths[-1], settings.bimap_dim)
        self.register_buffer("shrink", shrinking(settings.input_pixels), persistent=False)
        self.register_buffer("grey", torch.tensor(GREY)[:, None, None], persistent=False)
        _init_weights(self)

    def forward(self, faces: Tensor) -> Tensor:
        return self.pooled(self.maps(faces))

    def pooled(self, maps: Tensor) -> Tensor:
        """What follows the convolutions, [B, C, h, w] -> [B, d, d]."""
        if self.bimap is None:
            dim = self.settings.bimap_dim
            return maps.mean(dim=(2, 3)).view(-1, dim, dim)
        covariance = covariance_pool(maps, COVARIANCE_RIDGE)
        return log_eig(self.bimap(covariance), EIGENVALUE_MIN, EIGENVALUE_MAX)

    def maps(self, faces: Tensor) -> Tensor:
        """The convolutions alone, [B, 3, 100, 100] -> [B, C, h, w], halved by each pooling."""
        values = faces
        if self.settings.grey:
            values = (values * self.grey).sum(dim=1, keepdim=True)
        if self.settings.input_pixels != FULL_SIZE:
            values = self.shrink @ values @ self.shrink.mT
        values = values.contiguous(memory_format=torch.channels_last)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), start=1):
            # Outside training, normalisation is folded into the convolution before it.
            if self.training:
                made = norm(conv(values))
            else:
                made = functional.conv2d(values, *folded(conv, norm), padding=1)
            if self.settings.residual and made.shape == values.shape:
                made = made + values
            # ReLU and maximum commute; in this order ReLU touches a quarter of the values.
            if number in self.settings.pool_after:
                made = functional.max_pool2d(made, 2)
            values = functional.relu(made)
        return values


def shrinking(pixels: int) -> Tensor:
    """The matrix, float32 [pixels, 100], by which ``imresize`` resizes 100 values to ``pixels``."""
    shrunk = imresize(np.eye(FULL_SIZE), output_shape=(pixels, FULL_SIZE))
    return torch.from_numpy(shrunk).float()


class ExpressionClassifier(nn.Module):
    """What follows the log-matrix: C() up to the embedding, and the logits above it."""

    def __init__(self, settings: ExtractorSettings, num_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(settings.bimap_dim**2, settings.hidden_dim, bias=False)
        self.hidden_norm = BetaNorm(settings.hidden_dim, settings.batch_norm_momentum)
        self.bottleneck = nn.Linear(settings.hidden_dim, settings.embedding_dim, bias=False)
        self.bottleneck_norm = BetaNorm(settings.embedding_dim, settings.batch_norm_momentum)
        self.logits = nn.Linear(settings.embedding_dim, num_classes)
        _init_weights(self)
        nn.init.zeros_(self.logits.bias)

    def embedding(self, features: Tensor) -> Tensor:
        """C() of equation 9: [B, d, d] or [B, 1, d, d] -> [B, embedding_dim]."""
        values = functional.relu(self.hidden_norm(self.hidden(features.flatten(1))))
        embedding: Tensor = self.bottleneck_norm(self.bottleneck(values))
        return embedding

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding [B, embedding_dim] and logits [B, classes]."""
        embedding = self.embedding(features)
        return embedding, self.logits(embedding)


class CovPoolFER(FaceClassifier):
    """The network: standardised faces [B, 3, 100, 100] -> (embedding [B, E], logits [B, K])."""

    def __init__(self, settings: ExtractorSettings, num_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.extractor = FeatureExtractor(settings)
        self.classifier = ExpressionClassifier(settings, num_classes)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        embedding, logits = self.classifier(self.extractor(faces))
        return embedding, logits

    def logits(self, faces: Tensor, half: bool = False) -> Tensor:
        with torch.autocast(faces.device.type, torch.bfloat16, enabled=half):
            maps = self.extractor.maps(faces)
        _, logits = self.classifier(self.extractor.pooled(maps.to(faces.dtype)))
        return torch.as_tensor(logits)

    def project_gradient(self) -> None:
        if self.extractor.bimap is not None:
            self.extractor.bimap.project_gradient()

    def retract(self) -> None:
        if self.extractor.bimap is not None:
            self.extractor.bimap.retract()


def layer_weights(network: nn.Module) -> list[Tensor]:
    """Weights of all convolutions and linear layers: what weight decay applies to."""
    return [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def folded(layer: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``norm(layer(values))`` in eval mode, of a layer without bias."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert isinstance(norm, BetaNorm)
    factor = (norm.running_var + BATCH_NORM_EPS).rsqrt()
    weight = layer.weight * factor.view(-1, *[1] * (layer.weight.dim() - 1))
    return weight, norm.beta - norm.running_mean * factor


def _init_weights(network: nn.Module) -> None:
    for weight in layer_weights(network):
        nn.init.trunc_normal_(weight, std=INIT_STD, a=-2 * INIT_STD, b=2 * INIT_STD)
