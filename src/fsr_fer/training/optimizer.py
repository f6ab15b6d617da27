"""Adam as TensorFlow defines it, which both trainings of the paper were run with, and Muon."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fsr_fer.common.distributed import mean_over_all
from fsr_fer.models.covpool import layer_weights

if TYPE_CHECKING:  # else a field of pretraining's would repeat fsr
    from fsr_fer.training.settings.fsr import FsrSettings
    from fsr_fer.training.settings.pretraining import PretrainSettings


def require_finite(terms: Mapping[str, Tensor]) -> None:
    """Raise FloatingPointError if a term is NaN or an infinity."""
    numbers = torch.stack(list(terms.values())).tolist()  # one wait for the device
    named = zip(terms, numbers, strict=True)
    if bad := [f"{name} = {value}" for name, value in named if not math.isfinite(value)]:
        raise FloatingPointError(f"{', '.join(bad)}; nothing was updated by it")


class TensorFlowAdam:
    """Adam with TensorFlow's "epsilon hat".

    step = rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon). Torch divides v by
    1 - beta2^t before it adds epsilon; with CovPoolFER's 0.1 its first steps would be thirty times
    as large. ``weight_decay`` is an L2 term of convolutions and linear layers. Defaults are
    TensorFlow's. All parameters are updated except ``others``.

    It is not a torch.optim.Optimizer: creating one takes seconds (it imports torch's compiler).
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        others: Sequence[Tensor] = (),
    ) -> None:
        self.parameters: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self.learning_rate = learning_rate
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        decayed = {id(weight) for weight in layer_weights(network)}
        excluded = {id(weight) for weight in others}
        self.updated = [p for p in self.parameters if id(p) not in excluded]
        self.decays = [weight_decay if id(p) in decayed else 0.0 for p in self.updated]
        self.means = [torch.zeros_like(p) for p in self.updated]
        self.squares = [torch.zeros_like(p) for p in self.updated]
        self.steps = 0

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters; each must have a gradient."""
        self.steps += 1
        gradients = []
        for parameter, decay in zip(self.updated, self.decays, strict=True):
            assert parameter.grad is not None
            gradient = parameter.grad
            gradients.append(gradient.add(parameter, alpha=decay) if decay else gradient)
        torch._foreach_lerp_(self.means, gradients, 1 - self.beta1)
        torch._foreach_mul_(self.squares, self.beta2)
        torch._foreach_addcmul_(self.squares, gradients, gradients, 1 - self.beta2)
        # Torch's own square root differs from processor to processor; this one is exact.
        denominator = torch._foreach_rsqrt(self.squares)
        torch._foreach_reciprocal_(denominator)
        torch._foreach_add_(denominator, self.epsilon)
        correction = (1 - self.beta2**self.steps) ** 0.5 / (1 - self.beta1**self.steps)
        rate = self.learning_rate * correction
        torch._foreach_addcdiv_(self.updated, self.means, denominator, -rate)

    def step_if_finite(
        self, terms: Mapping[str, Tensor], prefix: str, faces: int
    ) -> dict[str, Tensor]:
        """Call ``step``; returns the terms and ``prefix/gradient_norm``, detached.

        ``terms`` are means over this process's faces, ``faces`` many; returned are those over all
        processes. ``prefix`` of the norm's name: g, d or train. FloatingPointError if a term or the
        norm is not finite; nothing was updated.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        terms = mean_over_all({name: term.detach() for name, term in terms.items()}, faces)
        terms[f"{prefix}/gradient_norm"] = torch.nn.utils.get_total_norm(gradients)
        require_finite(terms)
        self.step()
        return terms

    def state_dict(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, by name; the tensors are the live ones."""
        means = {f"{index}.mean": tensor for index, tensor in enumerate(self.means)}
        squares = {f"{index}.square": tensor for index, tensor in enumerate(self.squares)}
        return {"steps": torch.tensor(self.steps)} | means | squares

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Bring back what ``state_dict`` gave."""
        self.steps = int(state["steps"])
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])


MUON_MOMENTUM = 0.95
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315
NEWTON_SCHULZ_STEPS = 5
"""As in Jordan et al. 2024."""


class Muon(TensorFlowAdam):
    """Muon (Jordan et al. 2024) for the weights of hidden layers, Adam for the rest.

    Each weight is updated along its Nesterov momentum, made ``orthogonal``: where Adam mostly
    follows the few directions with large gradients, this follows all equally. The root mean square
    of an update is ``step_size`` times the learning rate (Liu et al. 2025). The last convolution or
    linear layer of ``network`` is its output, which Adam updates.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        step_size: float,
        learning_rate: float,
        epsilon: float,
        weight_decay: float,
    ) -> None:
        *self.hidden, _ = layer_weights(network)
        super().__init__(
            network,
            learning_rate=learning_rate,
            epsilon=epsilon,
            weight_decay=weight_decay,
            others=self.hidden,
        )
        self.step_size = step_size
        self.momenta = [torch.zeros_like(weight) for weight in self.hidden]

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter; each must have a gradient."""
        super().step()
        for weight, momentum in zip(self.hidden, self.momenta, strict=True):
            assert weight.grad is not None
            momentum.mul_(MUON_MOMENTUM).add_(weight.grad)
            direction = orthogonal((weight.grad + MUON_MOMENTUM * momentum).flatten(1))
            entries = self.step_size * max(direction.shape) ** 0.5
            weight.sub_(direction.view_as(weight), alpha=self.learning_rate * entries)

    def state_dict(self) -> dict[str, Tensor]:
        momenta = {f"{index}.momentum": tensor for index, tensor in enumerate(self.momenta)}
        return super().state_dict() | momenta


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximately U V^T of the matrix U S V^T, by Newton-Schulz iteration, [n, m] -> [n, m].

    Singular values become 0.7 to 1.2; those below a thousandth of the matrix' norm less.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrix.shape[0] <= matrix.shape[1]
    values = matrix if wide else matrix.mT
    values = values / (torch.linalg.vector_norm(values) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = values @ values.mT
        values = a * values + (b * square + c * square @ square) @ values
    return values if wide else values.mT


def stepped_learning_rate(settings: "PretrainSettings | FsrSettings", position: int) -> float:
    """The initial rate, times the factor for each milestone that ``position`` has reached."""
    reached = sum(position >= milestone for milestone in settings.learning_rate_milestones)
    return settings.learning_rate * settings.learning_rate_factor**reached
