"""Trainings as one of several processes, for ``test_golden``.

torchrun -m tests.training.shared_batches FOLDER
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from fsr_fer.common.distributed import barrier, is_first
from fsr_fer.common.files import write_json
from fsr_fer.data.face_stream import Faces
from fsr_fer.features.extraction import write_features
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.training.checkpoint import Checkpoint
from fsr_fer.training.fit import Run
from tests import sections
from tests.training import test_fsr, test_pretrain
from tests.training.golden import CPU, all_steps


def part_of_fsr(folder: Path, iterations: int) -> dict[str, Tensor]:
    """A training in float32 as far as ``iterations``, from what is in ``folder``."""
    train = test_fsr.training(iterations=iterations, learning_rate=1e-2)
    checkpoint = Checkpoint(folder if is_first() else None)
    return train(Run("fsr", 4, CPU, checkpoint)).state_dict()


def write_all_features(folder: Path) -> Path:
    """Features of 70 faces, three batches of which two processes take one and two."""
    torch.manual_seed(0)
    extractor = CovPoolFER(sections.extractor(), 3).extractor
    faces = Faces(test_pretrain.faces(70).images, np.arange(70))
    path = folder / "features.npy"
    write_features(extractor, faces, path, np.dtype("float32"), CPU)
    return path


def main(folder: Path) -> None:
    """Leave the numbers of the first process in ``folder``, and go on where others stopped."""
    steps, resumed = all_steps(), part_of_fsr(folder / "fsr by one", 6)
    part_of_fsr(folder / "fsr by two", 2)
    write_all_features(folder)
    if is_first():
        write_json(folder / "steps.json", steps)
        copied = {name: tensor.contiguous() for name, tensor in resumed.items()}
        save_file(copied, folder / "resumed.safetensors")
    barrier()
    os._exit(0)  # as stages end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
