"""Settings of distillation, as params.yaml gives them."""

from dataclasses import dataclass

from fsr_fer.common.settings import PositiveFloat, require


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """How a student imitates the mean prediction of two methods of finetune."""

    teachers: tuple[str, ...]
    temperature: PositiveFloat
    weight: PositiveFloat

    def __post_init__(self) -> None:
        require(len(self.teachers) == 2, "teachers", list(self.teachers), "two of finetune")
