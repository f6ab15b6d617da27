"""Draw the synthetic faces of one profile: ``python stages/synthesize.py PROFILE``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

from fsr_fer.data.synthetic import synthesize
from fsr_fer.params import Stage, load_stage
from fsr_fer.progress import bar


def main() -> Stage:
    """Write ``data/raw/PROFILE`` in RAF-DB's layout."""
    profile = sys.argv[1]
    stage = load_stage("synthesize", profile)
    synthesize(
        Path("data/raw") / profile,
        settings=stage.synthesize_of(profile),
        class_names=stage.class_names_of(profile),
        seed=stage.seed,
        track=bar,
    )
    return stage


if __name__ == "__main__":
    run_stage(main)
