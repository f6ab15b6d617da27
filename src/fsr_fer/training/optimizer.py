"""Adam as TensorFlow defines it, which is what both trainings of the paper were run with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class TensorFlowAdam(torch.optim.Optimizer):
    """Adam with TensorFlow's "epsilon hat".

    step = rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon). Torch divides v by
    1 - beta2^t before it adds epsilon; with CovPoolFER's epsilon of 0.1 its first steps would be
    some thirty times larger. ``weight_decay`` adds that multiple of the weight to the gradient, as
    an L2 term in the loss does.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Sequence[dict[str, Any]],
        *,
        learning_rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        defaults = {
            "learning_rate": learning_rate,
            "beta1": beta1,
            "beta2": beta2,
            "epsilon": epsilon,
            "weight_decay": 0.0,
        }
        super().__init__(parameters, defaults)
        self.steps = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["mean"] = torch.zeros_like(parameter)
                self.state[parameter]["square"] = torch.zeros_like(parameter)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Use ``learning_rate`` from the next step on, in every group."""
        for group in self.param_groups:
            group["learning_rate"] = learning_rate

    def step_if(self, sound: Tensor) -> None:
        """``step`` where ``sound``, a bool without dimensions, is true; else no weight changes."""
        if sound.device.type != "cpu":
            self.step_unasked(sound)
        elif sound:
            self.step()

    @torch.no_grad()
    def step_unasked(self, sound: Tensor) -> None:
        """``step_if`` without waiting for the device that ``sound`` is on.

        The step is always taken, by a rate of 0 if not ``sound`` and from gradients of 0, for 0
        times NaN would be NaN.
        """
        for parameter in self._parameters():
            assert parameter.grad is not None
            parameter.grad = torch.where(sound, parameter.grad, 0.0)
        self._step(sound)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter; each must have a gradient."""
        self._step(None)

    @torch.no_grad()
    def _step(self, sound: Tensor | None) -> None:
        self.steps += 1
        for group in self.param_groups:
            parameters = group["params"]
            gradients = [parameter.grad for parameter in parameters]
            means = [self.state[parameter]["mean"] for parameter in parameters]
            squares = [self.state[parameter]["square"] for parameter in parameters]
            if group["weight_decay"]:
                decay = group["weight_decay"]
                gradients = list(torch._foreach_add(gradients, parameters, alpha=decay))
            beta1, beta2 = group["beta1"], group["beta2"]
            torch._foreach_lerp_(means, gradients, 1 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
            denominator = torch._foreach_sqrt(squares)
            torch._foreach_add_(denominator, group["epsilon"])
            correction = (1 - beta2**self.steps) ** 0.5 / (1 - beta1**self.steps)
            rate = -group["learning_rate"] * correction
            if sound is None:
                torch._foreach_addcdiv_(parameters, means, denominator, rate)
            else:
                moves = torch._foreach_div(means, denominator)
                torch._foreach_mul_(moves, sound * rate)
                torch._foreach_add_(parameters, moves)

    def state_tensors(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, by name; the tensors are the live ones."""
        tensors = {"steps": torch.tensor(self.steps)}
        for index, parameter in enumerate(self._parameters()):
            for name, tensor in self.state[parameter].items():
                tensors[f"{index}.{name}"] = tensor
        return tensors

    @torch.no_grad()
    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Bring back what ``state_tensors`` gave."""
        self.steps = int(tensors["steps"])
        for index, parameter in enumerate(self._parameters()):
            for name, tensor in self.state[parameter].items():
                tensor.copy_(tensors[f"{index}.{name}"])

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]


class AdamSettings(Protocol):
    """What a section of params.yaml says of an optimiser with weight decay."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def beta1(self) -> float: ...
    @property
    def beta2(self) -> float: ...
    @property
    def adam_epsilon(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def decaying_adam(
    parameters: Iterable[nn.Parameter], decayed: Sequence[Tensor], settings: AdamSettings
) -> TensorFlowAdam:
    """Adam on ``parameters``, with weight decay on those of them that are in ``decayed``."""
    chosen = {id(weight) for weight in decayed}
    groups: list[dict[str, Any]] = [
        {"params": list(decayed), "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if id(p) not in chosen]},
    ]
    return TensorFlowAdam(
        groups,
        learning_rate=settings.learning_rate,
        beta1=settings.beta1,
        beta2=settings.beta2,
        epsilon=settings.adam_epsilon,
    )


def stepped_learning_rate(
    initial: float, milestones: tuple[int, ...], factor: float, position: int
) -> float:
    """``initial`` times ``factor`` for each milestone that ``position`` has reached."""
    reached = sum(position >= milestone for milestone in milestones)
    return float(initial * factor**reached)
