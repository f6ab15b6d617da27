"""The terms of equations 8 to 11, unweighted; every function returns one value per face, [B].

Signs follow equations 7 and 8: the discriminator ends low on real features, high on generated ones.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor


def squared_gradient_norm(
    discriminator: Callable[[Tensor], Tensor],
    hr_features: Tensor,
    sr_features: Tensor,
    interpolation: Tensor,
) -> Tensor:
    """Squared L2 norm of D's gradient between real and generated features, [B].

    ``interpolation`` in [0, 1], [B]: 0 is the real one. The norm runs over all entries of a map.
    The graph is kept, so that the penalty made of it can be differentiated.
    """
    weight = interpolation.view(-1, 1, 1, 1)
    interpolated = hr_features + weight * (sr_features.detach() - hr_features)
    interpolated.requires_grad_(True)
    scores = discriminator(interpolated).sum()
    (gradient,) = torch.autograd.grad(scores, interpolated, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1)


def gradient_penalty(squared_norm: Tensor, k: float, p: float) -> Tensor:
    """Equation 8's last term, k * ||gradient||**p, from its square: a root has no slope at 0.

    In float32 or wider: the sixth power of a norm of 7 is beyond float16.
    """
    return k * squared_norm ** (p / 2)


def perceptual(sr_embedding: Tensor, hr_embedding: Tensor) -> Tensor:
    """L_p, equation 9: squared distance of the embeddings C(F)."""
    return (sr_embedding - hr_embedding).square().sum(dim=1)


def feature_l2(
    sr_features: Tensor, hr_features: Tensor, reduction: Literal["sum", "mean"]
) -> Tensor:
    """L_2 of equation 10: squared distance of the log-matrices.

    "sum" over the entries is Tan et al.'s; "mean" makes the term d*d times smaller.
    """
    squares = (sr_features - hr_features).square().flatten(1)
    return squares.sum(dim=1) if reduction == "sum" else squares.mean(dim=1)


def classification_weights(logits: Tensor, labels: Tensor, sigma: float, r: float) -> Tensor:
    """Equation 11: w_i = (sigma - p_i)**r, p_i the probability of the true class, [B].

    ``logits`` [B, classes], ``labels`` int64 [B]. With sigma > 1 every weight is positive.
    """
    probability = logits.softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    return (sigma - probability) ** r
