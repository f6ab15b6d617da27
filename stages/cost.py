"""Count what each row of the table costs per face: ``python -m stages.cost ROW ...``."""

from fsr_fer.cost import cost_of
from fsr_fer.files import write_json
from fsr_fer.methods import load_method
from fsr_fer.run_stage import run_stage
from fsr_fer.stage import Stage, load_stage


def main(*rows: str) -> Stage:
    """Write ``metrics/<profile>/cost.json``: row, then kind of count, then column."""
    stage = load_stage("cost")
    models = stage.models
    cost = {row: cost_of(load_method(row, models), stage.scales) for row in rows}
    write_json(stage.metrics / "cost.json", cost)
    return stage


if __name__ == "__main__":
    run_stage(main)
