"""The tables of results: who reads best at each size, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fsr_fer.report.figures import operations
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join, table
from fsr_fer.report.scores import MEAN, Comparison, Estimate, Scores
from fsr_fer.report.traces import traced
from fsr_fer.report.words import (
    in_units,
    interval,
    p_text,
    row_name,
    signed,
    size_head,
    size_title,
    with_interval,
)
from fsr_fer.statistics import Score

SCORE_TITLES: dict[Score, str] = {
    "total_accuracy": "Total accuracy",
    "mean_class_accuracy": "Mean-class accuracy",
}


def all_columns(inputs: ReportInputs) -> tuple[str, ...]:
    """The sizes and the mean over the scales."""
    return (*inputs.columns, MEAN)


def best_rows(scores: Scores, score: Score, column: str) -> list[str]:
    """The row with the highest score in this column; several if they are equal."""
    values = {
        name: row[column].value for name, row in scores.tables[score].items() if column in row
    }
    return [name for name, value in values.items() if value == max(values.values())]


def is_clear(comparison: Comparison, confidence: float) -> bool:
    """Whether a difference is more than chance explains: by its p-value, else by its interval."""
    if comparison.p_value is not None:
        return comparison.p_value < 1 - confidence
    return excludes_zero(comparison.difference)


def answer(inputs: ReportInputs, scores: Scores) -> Markup:
    """What won, in two sentences."""
    if len(inputs.rows) == 1:
        return element("p", f"Only {inputs.baseline} was run: there is nothing to compare.")
    best = best_rows(scores, "total_accuracy", MEAN)
    parts: list[str] = []
    if best:
        value = scores.tables["total_accuracy"][best[0]][MEAN].value
        parts += [join(_listed([row_name(name) for name in best])), " reads best over all sizes: "]
        parts += [traced(best[0], MEAN, f"{value:.1f} %"), f" right, {size_title(inputs, MEAN)}"]
        for reference, comparisons in scores.against.items():
            if MEAN in comparisons.get(best[0], {}):
                gain = comparisons[best[0]][MEAN].difference
                parts += [", ", with_interval(gain), " points on ", row_name(reference)]
        parts.append(". ")
    return element("p", *parts, _by_size(inputs, scores), class_="answer")


def _by_size(inputs: ReportInputs, scores: Scores) -> Markup:
    """The winners at single sizes, those that win at more of them first."""
    sizes: dict[str, list[str]] = {}
    for column in inputs.scale_names:
        for name in best_rows(scores, "total_accuracy", column):
            sizes.setdefault(name, []).append(column)
    order = sorted(sizes, key=lambda name: -len(sizes[name]))
    places = {
        name: "every scale" if len(sizes[name]) == len(inputs.scales) else ", ".join(sizes[name])
        for name in order
    }
    named = [join([row_name(name), " at ", places[name]]) for name in order]
    return join(["Best at single sizes: ", *_listed(named), "."])


def _listed(names: list[Markup]) -> list[str]:
    return [part for name in names for part in ("; ", name)][1:]


def winners_table(inputs: ReportInputs, scores: Scores) -> Markup:
    """At each size the best row, what it gains on the baseline, and whether that may be chance."""
    columns = [c for c in all_columns(inputs) if best_rows(scores, "total_accuracy", c)]
    best = {column: best_rows(scores, "total_accuracy", column) for column in columns}

    def line(title: str | Markup, cell: Callable[[str], str]) -> list[str]:
        return [title, *(cell(column) for column in columns)]

    def value(column: str) -> Markup:
        estimate = scores.tables["total_accuracy"][best[column][0]][column]
        number = traced(best[column][0], column, f"{estimate.value:.1f}")
        return join([element("strong", number), interval(estimate)])

    rows = [
        line("reads best", lambda c: _names(best[c])),
        line("right, %", value),
    ]
    if len(inputs.rows) > 1:
        rows += [
            line("next best", lambda c: _next_best(scores, best[c], c)),
        ]
        rows += [
            line(
                join([element("div", "gain on"), row_name(reference)]),
                partial(_gain, inputs, scores, reference, best),
            )
            for reference in scores.against
        ]
    note = element("small", "bold gain: clear") if len(inputs.rows) > 1 else Markup("")
    head = [join(["face", note]), *(size_head(inputs, column) for column in columns)]
    made = table(head, rows, label="Best row at each size", column_keys=["", *columns])
    return element("div", made, class_="winners")


def _names(names: list[str]) -> Markup:
    shown = [element("div", row_name(name)) for name in names[:2]]
    if len(names) > 2:
        shown.append(element("small", f"and {len(names) - 2} more", title=", ".join(names)))
    return join(shown)


def _next_best(scores: Scores, best: list[str], column: str) -> Markup:
    others = {
        name: row[column].value
        for name, row in scores.tables["total_accuracy"].items()
        if column in row and name not in best
    }
    if not others:
        return Markup("–")
    name = max(others, key=others.__getitem__)
    behind = signed(others[name] - scores.tables["total_accuracy"][best[0]][column].value)
    return join([row_name(name), element("small", traced(name, column, behind))])


def _gain(
    inputs: ReportInputs, scores: Scores, reference: str, best: dict[str, list[str]], column: str
) -> Markup:
    name = best[column][0]
    comparison = scores.against[reference].get(name, {}).get(column)
    if reference in best[column]:
        return join(["–", element("small", "none is above it")])
    if comparison is None:
        return join(["–", element("small", f"{reference} lacks it")])
    number = traced(name, column, signed(comparison.difference.value))
    if is_clear(comparison, inputs.confidence):
        number = element("strong", number)
    p_value = "" if comparison.p_value is None else f"p {p_text(comparison.p_value)}"
    return join(
        [number, interval(comparison.difference, sign=True), element("small", p_value or " ")]
    )


def scores_table(inputs: ReportInputs, scores: Scores, score: Score) -> Markup:
    """The main table: each row at each size with its interval, the best of a column marked."""
    columns = all_columns(inputs)
    best = {column: best_rows(scores, score, column) for column in columns}
    rows: list[list[str]] = []
    for name, row in scores.tables[score].items():
        cells: list[str] = [row_name(name)]
        for column in columns:
            if column not in row:
                cells.append("–")
                continue
            number = traced(name, column, f"{row[column].value:.1f}")
            if name in best[column]:
                number = element("strong", number, title="best of this column")
                cells.append(element("td", number, interval(row[column]), class_="best"))
            else:
                cells.append(join([number, interval(row[column])]))
        rows.append(cells)
    head = [SCORE_TITLES[score] + ", %", *(size_head(inputs, c) for c in columns)]
    return table(
        head,
        rows,
        label=SCORE_TITLES[score],
        row_keys=list(scores.tables[score]),
        column_keys=["", *columns],
    )


def gains_table(inputs: ReportInputs, scores: Scores, reference: str, score: Score) -> Markup:
    """Each row's score minus the reference's; for total accuracy with McNemar's p-value."""
    columns, total = all_columns(inputs), score == "total_accuracy"
    rows: list[list[str]] = []
    for name, comparisons in scores.against[reference].items():
        cells: list[str] = [row_name(name)]
        for column in columns:
            if column not in comparisons:
                cells.append("–")
                continue
            comparison = comparisons[column]
            gain = comparison.difference if total else comparison.mean_class_difference
            clear = is_clear(comparison, inputs.confidence) if total else excludes_zero(gain)
            value = traced(name, column, signed(gain.value))
            note = comparison.p_value if total else None
            small = Markup("") if note is None else element("small", f"p {p_text(note)}")
            number = element("strong", value) if clear else value
            cells.append(join([number, interval(gain, sign=True), small]))
        rows.append(cells)
    head = [
        join(["minus ", row_name(reference), ", points"]),
        *(size_head(inputs, c) for c in columns),
    ]
    return table(
        head,
        rows,
        label=f"Gain on {reference}, {SCORE_TITLES[score].lower()}",
        row_keys=list(scores.against[reference]),
        column_keys=["", *columns],
    )


def excludes_zero(estimate: Estimate) -> bool:
    """Whether a difference's interval lies on one side of 0."""
    return estimate.interval.low > 0 or estimate.interval.high < 0


def cost_table(inputs: ReportInputs) -> Markup:
    """Parameters and operations per face of each row, and how many times the baseline's."""
    columns = all_columns(inputs)
    rows: list[list[str]] = []
    names = [name for name in inputs.rows if name in inputs.cost]
    base = inputs.cost.get(inputs.baseline)
    for name in names:
        counts = inputs.cost[name]
        cells: list[str] = [row_name(name), in_units(max(counts["parameters"].values()))]
        for column in columns:
            work = operations(counts, column, inputs.scale_names)
            if work is None:
                cells.append("–")
                continue
            reference = operations(base, column, inputs.scale_names) if base else None
            times = element("small", f"{work / reference:.3g} ×") if reference else Markup("")
            cells.append(join([traced(name, column, in_units(work)), times]))
        rows.append(cells)
    head = [
        join(
            [
                "operations per face",
                element("small", f"and how many times those of {inputs.baseline}"),
            ]
        ),
        "parameters",
        *(size_head(inputs, c) for c in columns),
    ]
    return table(
        head, rows, label="Cost of each row", row_keys=names, column_keys=["", "", *columns]
    )


def calibration_table(inputs: ReportInputs, scores: Scores) -> Markup:
    """Calibration error of each row at each size, and how much surer than right it is."""
    columns = inputs.columns
    names = [name for name, row in scores.calibration.items() if row]
    rows: list[list[str]] = []
    for name in names:
        cells: list[str] = [row_name(name)]
        for column in columns:
            cell = scores.calibration[name].get(column)
            if cell is None:
                cells.append("–")
                continue
            surer = element("small", signed(cell.confidence - cell.accuracy))
            number = traced(name, column, f"{cell.error.value:.1f}")
            cells.append(join([number, interval(cell.error), surer]))
        rows.append(cells)
    head = ["calibration error, %", *(size_head(inputs, c) for c in columns)]
    return table(head, rows, label="Calibration error", row_keys=names, column_keys=["", *columns])


def fidelity_table(inputs: ReportInputs) -> Markup:
    """PSNR and SSIM of restored faces against the full-size ones."""
    columns = [c for c in inputs.scale_names if any(c in row for row in inputs.fidelity.values())]
    rows: list[list[str]] = []
    for name, row in inputs.fidelity.items():
        cells: list[str] = [row_name(name)]
        for column in columns:
            values = row.get(column)
            small = Markup("") if values is None else element("small", f"SSIM {values['ssim']:.4f}")
            cells.append("–" if values is None else join([f"{values['psnr']:.2f}", small]))
        rows.append(cells)
    head = ["PSNR, dB", *(size_head(inputs, c) for c in columns)]
    return table(
        head,
        rows,
        label="PSNR and SSIM",
        row_keys=list(inputs.fidelity),
        column_keys=["", *columns],
    )


def pairs_table(scores: Scores) -> Markup:
    """Mean over the scales: the row at the left minus the row at the head, points."""
    names = list(dict.fromkeys(first for first, _ in scores.pairs_of_means))
    rows: list[list[str]] = []
    for first in names:
        cells: list[str] = [row_name(first)]
        for second in names:
            pair = scores.pairs_of_means.get((first, second))
            if pair is None:
                cells.append("")
            else:
                number = traced(first, MEAN, signed(pair.value))
                cells.append(join([number, interval(pair, sign=True)]))
        rows.append(cells)
    head = ["minus", *(row_name(name) for name in names)]
    return table(head, rows, label="Rows against each other, mean over the scales", row_keys=names)
