"""Count what each method costs per face: ``python -m stages.cost``."""

from fsr_fer.common.files import write_json
from fsr_fer.evaluation.cost import cost_of
from fsr_fer.evaluation.methods import load_method, load_restorers
from fsr_fer.pipeline.run_stage import run_stage
from fsr_fer.pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Write ``metrics/<profile>/cost.json``: method, then kind of count, then column."""
    models, cost = stage.paths.models, {}
    for name, method in stage.methods.items():
        network = method.restored_by
        restorers = load_restorers(network, models, stage.scales) if network else {}
        cost[name] = cost_of(load_method(method, models), restorers, stage.scales)
    write_json(stage.paths.metrics / "cost.json", cost)


if __name__ == "__main__":
    run_stage(main)
