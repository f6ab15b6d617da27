"""The stages of dvc.yaml, each run as ``python -m stages.NAME``."""

import sys
from pathlib import Path

# Use the code of this folder, also where DVC runs a queue's experiments: the installed package is
# that of the main folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from fsr_fer.common import arithmetic
from fsr_fer.common.memory import keep_freed_memory

arithmetic.pin()
keep_freed_memory()
