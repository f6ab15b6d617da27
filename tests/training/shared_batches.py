"""Trainings as one of several processes, for ``test_golden``.

torchrun -m tests.training.shared_batches FOLDER
"""

import os
import sys
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from fsr_fer.common.distributed import barrier, is_first
from fsr_fer.common.files import write_json
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.fit import Run
from tests.training import test_fsr
from tests.training.golden import CPU, all_steps


def part_of_fsr(folder: Path, iterations: int) -> dict[str, Tensor]:
    """A training in float32 as far as ``iterations``, from what is in ``folder``."""
    train = test_fsr.training(iterations=iterations, learning_rate=1e-2)
    checkpoint = Checkpoint(folder if is_first() else None)
    return train(Run("fsr", 4, CPU, checkpoint)).state_dict()


def main(folder: Path) -> None:
    """Leave the numbers of the first process in ``folder``, and go on where others stopped."""
    steps, resumed = all_steps(), part_of_fsr(folder / "fsr by one", 6)
    part_of_fsr(folder / "fsr by two", 2)
    if is_first():
        write_json(folder / "steps.json", steps)
        copied = {name: tensor.contiguous() for name, tensor in resumed.items()}
        save_file(copied, folder / "resumed.safetensors")
    barrier()
    os._exit(0)  # as stages end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
