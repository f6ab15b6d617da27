"""The golden steps as one of several processes, for ``test_golden``.

torchrun -m tests.training.shared_batches FOLDER
"""

import os
import sys
from pathlib import Path

from fsr_fer.common.distributed import barrier, is_first
from fsr_fer.common.files import write_json
from tests.training.golden import all_steps

if __name__ == "__main__":
    steps = all_steps()
    if is_first():
        write_json(Path(sys.argv[1]) / "steps.json", steps)
    barrier()
    os._exit(0)  # as stages end
