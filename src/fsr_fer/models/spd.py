"""Second-order layers: covariance pooling, BiMap, ReEig and LogEig (Huang and Van Gool 2017).

Matrices are symmetric [B, d, d]. All arithmetic here runs in the dtype it is given, with autocast
off: TF32 or bf16 errors are as large as the smallest eigenvalues, whose logarithm comes next.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def covariance_pool(maps: Tensor, ridge: float) -> Tensor:
    """Covariance of the channels over all positions, [B, C, H, W] -> [B, C, C].

    Centred, divided by H*W - 1, plus ``ridge * trace * I`` (CovPoolFER).
    """
    batch, channels, height, width = maps.shape
    values = maps.reshape(batch, channels, height * width)
    values = values - values.mean(dim=2, keepdim=True)
    covariance = values @ values.mT / (height * width - 1)
    trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1)
    identity = torch.eye(channels, dtype=maps.dtype, device=maps.device)
    return covariance + ridge * trace[:, None, None] * identity


def orthonormal(matrix: Tensor) -> Tensor:
    """Q of the QR decomposition with R's diagonal positive, [n, d] -> [n, d], n >= d.

    Without the sign rule a column may flip from step to step, and rows of every feature with it.
    """
    q, r = torch.linalg.qr(matrix)
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0).to(matrix.dtype)
    return q * signs


class BiMap(nn.Module):
    """W^T X W with orthonormal columns of W, [B, n, n] -> [B, d, d].

    The optimiser does not know the constraint: call ``project_gradient`` before its step and
    ``retract`` after it.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(orthonormal(torch.randn(in_dim, out_dim)))

    def forward(self, matrices: Tensor) -> Tensor:
        return self.weight.mT @ matrices @ self.weight

    @torch.no_grad()
    def project_gradient(self) -> None:
        """Replace the gradient g by its tangent part, g - W sym(W^T g)."""
        gradient = self.weight.grad
        assert gradient is not None
        product = self.weight.mT @ gradient
        gradient -= self.weight @ (product + product.mT) / 2

    @torch.no_grad()
    def retract(self) -> None:
        """Bring W back to orthonormal columns."""
        self.weight.copy_(orthonormal(self.weight))


def log_eig(matrices: Tensor, minimum: float, maximum: float) -> Tensor:
    """Matrix logarithm with eigenvalues clipped to [minimum, maximum] first, [B, d, d] -> same.

    ReEig and LogEig share one decomposition. The gradient is exact (Daleckii-Krein), for repeated
    and clipped eigenvalues too. Only the symmetric part counts. FloatingPointError if a matrix
    holds NaN or an infinity.
    """
    if not bool(torch.isfinite(matrices).all()):
        raise FloatingPointError("log_eig: a matrix holds NaN or an infinity")
    with torch.autocast(matrices.device.type, enabled=False):
        result: Tensor = _LogEig.apply(matrices, minimum, maximum)
    return result


class _LogEig(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor, minimum: float, maximum: float) -> Tensor:
        eigenvalues, vectors = torch.linalg.eigh((matrices + matrices.mT) / 2)
        clipped = eigenvalues.clamp(minimum, maximum)
        ctx.save_for_backward(eigenvalues, clipped, vectors)
        return (vectors * clipped.log()[:, None, :]) @ vectors.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        eigenvalues, clipped, vectors = ctx.saved_tensors
        symmetric = (gradient + gradient.mT) / 2
        inner = vectors.mT @ symmetric @ vectors
        inner = inner * _clipped_log_differences(eigenvalues, clipped)
        return vectors @ inner @ vectors.mT, None, None


def _clipped_log_differences(raw: Tensor, clipped: Tensor) -> Tensor:
    """First divided differences of log(clip(x)) for all pairs of eigenvalues, [B, d] -> [B, d, d].

    Those of log between clipped values times those of clip between raw ones. Neither divides a
    small difference by another: log's uses atanh(z) / z, clip's is 1 where nothing is clipped.
    """
    a, b = clipped[:, :, None], clipped[:, None, :]
    z = (a - b) / (a + b)
    near = z.abs() < 0.5
    safe_z = torch.where(near & (z != 0), z, 0.25)
    ratio = torch.where(z == 0, torch.ones_like(z), torch.atanh(safe_z) / safe_z)
    apart = torch.where(near, torch.ones_like(z), a - b)
    log_difference = torch.where(near, 2 * ratio / (a + b), (a.log() - b.log()) / apart)

    inside = (raw == clipped).to(raw.dtype)
    gap = raw[:, :, None] - raw[:, None, :]
    mean_slope = (inside[:, :, None] + inside[:, None, :]) / 2
    slope = torch.where(gap == 0, mean_slope, (a - b) / torch.where(gap == 0, 1.0, gap))
    both = (inside[:, :, None] * inside[:, None, :]) > 0
    return log_difference * torch.where(both, torch.ones_like(slope), slope.clamp(0, 1))
