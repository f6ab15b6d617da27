"""Adam as TensorFlow defines it, which is what both trainings of the paper were run with."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fsr_fer.common.distributed import mean_over_all
from fsr_fer.models.covpool import layer_weights
from fsr_fer.training.log import require_finite
from fsr_fer.training.settings import FsrSettings, PretrainSettings


class TensorFlowAdam:
    """Adam with TensorFlow's "epsilon hat".

    step = rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon). Torch divides v by
    1 - beta2^t before it adds epsilon: with CovPoolFER's 0.1 first steps thirty times as large.
    ``weight_decay`` is an L2 term of convolutions and linear layers. Defaults are TensorFlow's.

    No torch.optim.Optimizer: making one takes seconds (it imports torch's compiler).
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
    ) -> None:
        self.parameters: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self.learning_rate = learning_rate
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        decayed = {id(weight) for weight in layer_weights(network)}
        self.decays = [weight_decay if id(p) in decayed else 0.0 for p in self.parameters]
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter; each must have a gradient."""
        self.steps += 1
        gradients = []
        for parameter, decay in zip(self.parameters, self.decays, strict=True):
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
        torch._foreach_addcdiv_(self.parameters, self.means, denominator, -rate)

    def step_if_finite(
        self, terms: Mapping[str, Tensor], player: str, faces: int
    ) -> dict[str, Tensor]:
        """``step``; returns the terms and ``player/gradient_norm``, detached.

        ``terms`` are means over so many ``faces`` of this process; returned are those over all.

        Raises:
            FloatingPointError: one of them is not finite; nothing was updated.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        terms = mean_over_all({name: term.detach() for name, term in terms.items()}, faces)
        terms[f"{player}/gradient_norm"] = torch.nn.utils.get_total_norm(gradients)
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


def stepped_learning_rate(settings: PretrainSettings | FsrSettings, position: int) -> float:
    """The initial rate, times the factor for each milestone that ``position`` has reached."""
    reached = sum(position >= milestone for milestone in settings.learning_rate_milestones)
    return settings.learning_rate * settings.learning_rate_factor**reached
