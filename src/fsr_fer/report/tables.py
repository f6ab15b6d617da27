"""The tables of results: who reads best at each size, by how much, and how sure that is."""

from __future__ import annotations

from fsr_fer.predictions import HR
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join, table
from fsr_fer.report.scores import MEAN, Comparison, Estimate, Scores
from fsr_fer.statistics import Score

SCORE_TITLES: dict[Score, str] = {
    "total_accuracy": "Total accuracy",
    "mean_class_accuracy": "Mean-class accuracy",
}


def size_title(inputs: ReportInputs, column: str) -> str:
    """A column's heading: "x8, 13 px"."""
    if column == MEAN:
        return f"mean of {inputs.scale_names[0]}–{inputs.scale_names[-1]}"
    return f"{'HR' if column == HR else column}, {inputs.pixels[column]} px"


def size_head(inputs: ReportInputs, column: str) -> Markup:
    """The same in two lines, for tables with a column for each size."""
    if column == MEAN:
        return join(["mean", element("small", f"{inputs.scale_names[0]}–{inputs.scale_names[-1]}")])
    name, _, pixels = size_title(inputs, column).partition(", ")
    return join([name, element("small", pixels)])


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
    interval = comparison.difference.interval
    return interval.low > 0 or interval.high < 0


def answer(inputs: ReportInputs, scores: Scores) -> Markup:
    """What won, in one sentence for each row but the baseline."""
    sentences = []
    for name, comparisons in scores.against_baseline.items():
        clear = {c: v for c, v in comparisons.items() if is_clear(v, inputs.confidence)}
        better = [c for c, v in clear.items() if v.difference.value > 0 and c != MEAN]
        worse = [c for c, v in clear.items() if v.difference.value < 0 and c != MEAN]
        verdict = [
            f"{word} at {', '.join(_short(c) for c in columns)}"
            for word, columns in (("clearly better", better), ("clearly worse", worse))
            if columns
        ] or ["no clear difference at any size"]
        parts: list[str] = [element("code", name), ": ", "; ".join(verdict)]
        if MEAN in comparisons:
            parts += [f"; {size_title(inputs, MEAN)} ", _difference(comparisons[MEAN].difference)]
        sentences.append(element("li", *parts, "."))
    if not sentences:
        return element("p", f"Only {inputs.baseline} was run: there is nothing to compare.")
    return join(
        [element("p", "Against ", element("code", inputs.baseline), ":"), element("ul", *sentences)]
    )


def winners_table(inputs: ReportInputs, scores: Scores) -> Markup:
    """The best row at each size, what it gains on the baseline, and whether that may be chance."""
    rows: list[list[str]] = []
    for column in (*inputs.columns, MEAN):
        names = best_rows(scores, "total_accuracy", column)
        if not names:
            continue
        best: list[str] = [element("div", element("code", name)) for name in names]
        value = scores.tables["total_accuracy"][names[0]][column].value
        best.append(element("small", f"{value:.1f} % right"))
        rows.append(
            [
                size_head(inputs, column),
                element("td", *best, class_="words"),
                *_gain_and_verdict(inputs, scores, names, column),
            ]
        )
    head = ["face", element("th", "reads best", class_="words", scope="col")]
    head += [
        join(["gain, points", element("small", f"on {inputs.baseline}")]),
        element("th", "chance?", class_="words", scope="col"),
    ]
    return table(head, rows, label="Best row at each size")


def _gain_and_verdict(
    inputs: ReportInputs, scores: Scores, names: list[str], column: str
) -> tuple[str, Markup]:
    comparison = scores.against_baseline.get(names[0], {}).get(column)
    gain, verdict, note = "–", "", ""
    if inputs.baseline in names:
        verdict = "equal to it" if len(names) > 1 else "none above it"
    elif comparison is None:
        verdict = f"{inputs.baseline} lacks this size"
    else:
        gain = join(
            [signed(comparison.difference.value), _interval(comparison.difference, sign=True)]
        )
        verdict = "no, clear" if is_clear(comparison, inputs.confidence) else "may be"
        if comparison.p_value is not None:
            note = f"p {_p_value(comparison.p_value)}"
    return gain, element("td", verdict, element("small", note), class_="words")


def scores_table(inputs: ReportInputs, scores: Scores, score: Score) -> Markup:
    """The main table: each row at each size with its interval, the best of a column marked."""
    columns = [*inputs.columns, MEAN]
    best = {column: best_rows(scores, score, column) for column in columns}
    rows: list[list[str]] = []
    for name, row in scores.tables[score].items():
        cells: list[str] = [element("code", name)]
        for column in columns:
            if column not in row:
                cells.append("–")
            elif name in best[column]:
                value = element("strong", f"{row[column].value:.1f}", title="best of this column")
                cells.append(element("td", value, _interval(row[column]), class_="best"))
            else:
                cells.append(join([f"{row[column].value:.1f}", _interval(row[column])]))
        rows.append(cells)
    head = [SCORE_TITLES[score] + ", %", *(size_head(inputs, c) for c in columns)]
    return table(head, rows, label=SCORE_TITLES[score])


def gains_table(inputs: ReportInputs, scores: Scores) -> Markup:
    """Each row's total accuracy minus the baseline's, with McNemar's p-value."""
    columns = [*inputs.columns, MEAN]
    rows: list[list[str]] = []
    for name, comparisons in scores.against_baseline.items():
        cells: list[str] = [element("code", name)]
        for column in columns:
            if column not in comparisons:
                cells.append("–")
                continue
            comparison = comparisons[column]
            value = signed(comparison.difference.value)
            if is_clear(comparison, inputs.confidence):
                value = element("strong", value)
            note = "" if comparison.p_value is None else f"p {_p_value(comparison.p_value)}"
            small = element("small", note) if note else Markup("")
            cells.append(join([value, _interval(comparison.difference, sign=True), small]))
        rows.append(cells)
    head = [f"minus {inputs.baseline}, points", *(size_head(inputs, c) for c in columns)]
    return table(head, rows, label=f"Gain on {inputs.baseline}")


def pairs_table(scores: Scores) -> Markup:
    """Mean over the scales: the row at the left minus the row at the head, points."""
    names = list(dict.fromkeys(first for first, _ in scores.pairs_of_means))
    rows: list[list[str]] = []
    for first in names:
        cells: list[str] = [element("code", first)]
        for second in names:
            pair = scores.pairs_of_means.get((first, second))
            if pair is None:
                cells.append("")
            else:
                cells.append(join([signed(pair.value), _interval(pair, sign=True)]))
        rows.append(cells)
    head = ["minus", *(element("code", name) for name in names)]
    return table(head, rows, label="Rows against each other, mean over the scales")


def signed(value: float) -> str:
    """A difference in points with one decimal and always a sign (a true minus)."""
    return f"{value:+.1f}".replace("-", "−")


def _short(column: str) -> str:
    return "HR" if column == HR else column


def _interval(estimate: Estimate, *, sign: bool = False) -> Markup:
    low, high = estimate.interval.low, estimate.interval.high
    text = f"{signed(low)}…{signed(high)}" if sign else f"{low:.1f}–{high:.1f}"
    return element("small", text)


def _difference(estimate: Estimate) -> Markup:
    low, high = estimate.interval.low, estimate.interval.high
    return join(
        [
            signed(estimate.value),
            " ",
            element("span", f"({signed(low)} to {signed(high)})", class_="interval"),
        ]
    )


def _p_value(p_value: float) -> str:
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"
