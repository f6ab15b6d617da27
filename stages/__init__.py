"""The stages of dvc.yaml, each run as ``python -m stages.NAME``."""

import sys
from pathlib import Path

# The code that lies here, also in the folders where DVC runs a queue's experiments: an installed
# package is the main folder's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from fsr_fer.common import arithmetic
from fsr_fer.common.memory import keep_freed_memory

arithmetic.pin()
keep_freed_memory()
