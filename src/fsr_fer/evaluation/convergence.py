"""Does re-weighting make training faster or better? A test of the paper's section 4.3.

Every seed trains a plain and a re-weighted generator, a pair, from the same weights on the
same faces in the same order. Accuracies are percent.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fsr_fer.evaluation.seeds import DECIMALS, over_seeds, paired, with_values

VARIANTS = ("plain", "reweighted")
SCORE = "validation/total_accuracy"

Curve = Sequence[Mapping[str, float]]
"""What a training recorded: ``step`` and named values, in the order of the steps."""


def summarise(
    curves: Mapping[str, Mapping[int, Curve]],
    test: Mapping[str, Mapping[int, float]],
    confidence: float,
) -> dict[str, Any]:
    """All results of the study, from variant -> seed -> curve and -> mean test accuracy.

    The target of a pair is the plain run's last validation accuracy; a run that never reached it
    counts as reaching it at the validation that would have come next.
    """
    seeds = list(curves["plain"])
    points = curves["plain"][seeds[0]]
    steps: dict[str, list[int]] = {variant: [] for variant in VARIANTS}
    missed = 0
    for seed in seeds:
        target = curves["plain"][seed][-1][SCORE]
        for variant in VARIANTS:
            curve = curves[variant][seed]
            reached = [point["step"] for point in curve if point[SCORE] >= target]
            missed += not reached
            never = curve[-1]["step"] + curve[0]["step"]
            steps[variant].append(int(min(reached, default=never)))
    recorded = {
        v: [[point[SCORE] for point in curves[v][seed]] for seed in seeds] for v in VARIANTS
    }
    accuracies = {
        "last_validation": {v: [run[-1] for run in recorded[v]] for v in VARIANTS},
        "best_validation": {v: [max(run) for run in recorded[v]] for v in VARIANTS},
        "test_mean_of_scales": {v: [test[v][seed] for seed in seeds] for v in VARIANTS},
    }
    return {
        "confidence": confidence,
        "seeds": seeds,
        "iterations": int(points[-1]["step"]),
        "validated_every": int(points[0]["step"]),
        "steps_to_plains_last_accuracy": {
            **{v: with_values(steps[v], confidence) for v in VARIANTS},
            "reweighted_never_did": missed,
        },
        "ratio_of_steps": _ratio(steps["plain"], steps["reweighted"], confidence),
        "accuracy": {
            name: {v: over_seeds(values[v], confidence) for v in VARIANTS}
            | {"difference": paired(values["reweighted"], values["plain"], confidence)}
            for name, values in accuracies.items()
        },
    }


def _ratio(plain: Sequence[int], reweighted: Sequence[int], confidence: float) -> dict[str, Any]:
    """How many times faster: geometric mean, with a t interval of the logarithms."""
    logs = [math.log(a / b) for a, b in zip(plain, reweighted, strict=True)]
    of_logs = over_seeds(logs, confidence)
    return {
        **{name: round(math.exp(value), DECIMALS) for name, value in of_logs.items()},
        "values": [round(math.exp(log), DECIMALS) for log in logs],
    }
