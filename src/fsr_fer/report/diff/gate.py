"""The gate of ``fsr-fer diff --fail-below``: which changes for the worse are too much."""

from collections.abc import Iterator

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import SettingsError, build
from fsr_fer.evaluation.predictions import HR, MEAN
from fsr_fer.evaluation.settings import ReviewSettings
from fsr_fer.report.diff.comparison import Cell, Comparison
from fsr_fer.report.diff.results import Results


def limits_of(results: Results) -> ReviewSettings:
    """The limits in params.yaml of the later revision.

    Raises:
        UserError: it has none, or one is wrong.
    """
    try:
        return build(ReviewSettings, results.params.get("review"), "review")
    except SettingsError as error:
        raise UserError(f"params.yaml of {results.revision.title}: {error}") from None


def breaches(comparison: Comparison, limits: ReviewSettings) -> list[str]:
    """Each reason why the change should not pass; none if it may.

    Results that are missing, or are not of this code and these params, are reasons too.
    """
    reasons = list(comparison.doubts)
    for name, cells in comparison.table.items():
        if all(cell.after is None for cell in cells.values()):
            reasons.append(f"method {name} is gone")
            continue
        for column in comparison.columns:
            reasons += _breach(comparison, limits, name, column, cells.get(column, Cell()))
    return reasons


def _breach(
    comparison: Comparison, limits: ReviewSettings, name: str, column: str, cell: Cell
) -> Iterator[str]:
    if cell.before is None:
        return
    size = {MEAN: "mean over the scales", HR: "full size"}.get(column, column)
    if cell.difference is None:
        yield f"{name}, {size}: no result any more"
        return
    limit = limits.largest_drop_of_mean if column == MEAN else limits.largest_drop_at_a_size
    if -cell.difference <= limit:
        return
    fell = f"{name}, {size}: fell by {-cell.difference:.2f} points to {cell.after:.2f} %"
    if cell.p_value is None:
        noise = "not tested for noise"
    elif comparison.is_clear(cell):
        noise = f"more than noise, p {p_text(cell.p_value)}"
    elif not limits.only_beyond_noise:
        noise = f"may be noise, p {p_text(cell.p_value)}"
    else:
        return
    yield f"{fell}, allowed {limit:g} ({noise})"


def p_text(p_value: float) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
