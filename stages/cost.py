"""Count what each row of the table costs per face: ``python stages/cost.py ROW ...``."""

from fsr_fer.stage import run_stage  # first: see there

# isort: split
import sys
from pathlib import Path

from fsr_fer.cost import cost_of
from fsr_fer.files import write_json
from fsr_fer.methods import load_method
from fsr_fer.params import Stage, load_stage


def main() -> Stage:
    """Write ``metrics/<profile>/cost.json``: row, then kind of count, then column."""
    stage = load_stage("cost")
    models = Path("models") / stage.profile
    cost = {row: cost_of(load_method(row, models), stage.scales) for row in sys.argv[1:]}
    write_json(Path("metrics") / stage.profile / "cost.json", cost)
    return stage


if __name__ == "__main__":
    run_stage(main)
