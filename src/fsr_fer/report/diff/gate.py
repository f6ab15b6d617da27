"""The gate of ``fsr-fer diff --fail-below``: which changes for the worse are too much."""

from fsr_fer.common.settings import build
from fsr_fer.evaluation.predictions import HR, MEAN
from fsr_fer.evaluation.settings import ReviewSettings
from fsr_fer.report.diff.comparison import Cell, Comparison
from fsr_fer.report.diff.results import Results


def breaches(comparison: Comparison, results: Results) -> list[str]:
    """Each reason why the change to these ``results`` should not pass; none if it may.

    Results that are missing, or are not of this code and these params, are reasons too. UserError
    if params.yaml of the results has no limits, or a wrong one.
    """
    where = f"params.yaml of {results.revision.title}: review"
    limits = build(ReviewSettings, results.values.get("review"), where)
    reasons = list(comparison.doubts)
    for name, cells in comparison.table.items():
        if all(cell.after is None for cell in cells.values()):
            reasons.append(f"method {name} is gone")
            continue
        for column in (c for c in comparison.columns if c in cells):
            size = {MEAN: "mean over the scales", HR: "full size"}.get(column, column)
            limit = limits.largest_drop_of_mean if column == MEAN else limits.largest_drop_at_a_size
            if found := _breach(comparison, cells[column], limit, limits.only_beyond_noise):
                reasons.append(f"{name}, {size}: {found}")
    return reasons


def _breach(
    comparison: Comparison, cell: Cell, limit: float, only_beyond_noise: bool
) -> str | None:
    if cell.difference is None:
        return "no result any more" if cell.after is None else None
    if -cell.difference <= limit:
        return None
    noise = "not tested for noise"
    if cell.p_value is not None:
        clear = comparison.is_clear(cell)
        if only_beyond_noise and not clear:
            return None
        kind = "more than" if clear else "may be"
        noise = f"{kind} noise, p {p_text(cell.p_value)}"
    fell = f"fell by {-cell.difference:.2f} points to {cell.after:.2f} %"
    return f"{fell}, allowed {limit:g} ({noise})"


def p_text(p_value: float) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
