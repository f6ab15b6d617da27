"""The numbers the paper prints (arXiv 2004.02234, tables 1 and 2), beside ours."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join, table
from fsr_fer.report.scores import DECIMALS, MEAN, Scores
from fsr_fer.report.traces import traced
from fsr_fer.report.words import row_name
from fsr_fer.statistics import Interval, wilson_interval

TEST_FACES = 3068
"""Test faces of RAF-DB, all of which the paper reads (section 4.1)."""

CONFIDENCE = 0.95

Verdict = Literal["rounded", "cut off", "none"]


@dataclass(frozen=True)
class PrintedCell:
    """Total accuracy in percent as printed; ``row`` is the row of ours that stands for it."""

    source: str
    method: str
    row: str
    column: str
    printed: str

    @property
    def nearest(self) -> int:
        """The number of test faces whose share is nearest to what is printed."""
        return round(float(self.printed) * TEST_FACES / 100)

    @property
    def verdict(self) -> Verdict:
        """Whether ``nearest`` faces give what is printed: all decimals rounded, or cut off."""
        unit = 10 ** len(self.printed.partition(".")[2])
        printed = round(float(self.printed) * unit)
        share = 100 * unit * self.nearest / TEST_FACES
        if printed == round(share):
            return "rounded"
        return "cut off" if printed == math.floor(share) else "none"

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of ``nearest`` of the test faces, percent."""
        return wilson_interval(self.nearest, TEST_FACES, CONFIDENCE)


def printed_cells() -> list[PrintedCell]:
    """All cells of tables 1 and 2, in the paper's order; cells printed as "-" are left out."""
    text = resources.files("fsr_fer.report").joinpath("paper_tables.csv").read_text("utf-8")
    return [PrintedCell(**line) for line in csv.DictReader(text.splitlines())]


def not_comparable(inputs: ReportInputs) -> str:
    """Why the paper's numbers are no yardstick for ours; empty where they are one."""
    num_test = len(inputs.manifest.rows("test"))
    if inputs.source != "rafdb":
        return (
            "Other data: not comparable. The paper reads RAF-DB; this run reads other faces, so "
            "a higher or lower number says nothing about the method."
        )
    if num_test != TEST_FACES:
        return (
            f"Not the same test set: {num_test:,} test faces here, {TEST_FACES:,} in the paper. "
            "The numbers are not comparable."
        )
    return ""


def paper_section(inputs: ReportInputs, scores: Scores) -> Markup:
    """The paper's tables, with our row under each method that this run has."""
    reason = not_comparable(inputs)
    if reason:
        note = element("p", element("strong", reason), class_="warning")
    else:
        note = element(
            "p",
            f"Same data on both sides: RAF-DB, {TEST_FACES:,} test faces. The paper chose its "
            "models on these faces; here they are read once, after all choices were made.",
        )
    cells = printed_cells()
    return join(
        [note]
        + [
            _table(inputs, scores, source, cells)
            for source in dict.fromkeys(c.source for c in cells)
        ]
        + [_audit(cells)]
    )


def audit_csv(inputs: ReportInputs, scores: Scores) -> str:
    """Every printed cell, the number of faces it stands for, and our row's score beside it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("source", "method", "column", "printed", "faces", "verdict", "low", "high")
    writer.writerow([*names, "row_here", "here", "data_here"])
    for cell in printed_cells():
        audit: list[object] = ["", "", "", ""]
        if cell.column != MEAN:
            low, high = (
                f"{bound:.{DECIMALS}f}" for bound in (cell.interval.low, cell.interval.high)
            )
            faces = "" if cell.verdict == "none" else cell.nearest
            audit = [faces, cell.verdict, low, high]
        ours = scores.tables["total_accuracy"].get(cell.row, {}).get(cell.column)
        here = "" if ours is None else f"{ours.value:.{DECIMALS}f}"
        place = (cell.source, cell.method, cell.column, cell.printed)
        writer.writerow([*place, *audit, cell.row if here else "", here, inputs.source])
    return text.getvalue()


def _table(inputs: ReportInputs, scores: Scores, source: str, cells: list[PrintedCell]) -> Markup:
    accuracy = scores.tables["total_accuracy"]
    mine = [cell for cell in cells if cell.source == source]
    columns = [f"x{scale}" for scale in range(2, 9)]
    if any(cell.column == MEAN for cell in mine):
        columns.append(MEAN)
    rows: list[list[str]] = []
    keys = []
    for method in dict.fromkeys(cell.method for cell in mine):
        printed = {cell.column: cell for cell in mine if cell.method == method}
        name = next(iter(printed.values())).row
        rows.append([f"paper: {method}", *(_printed(printed.get(c)) for c in columns)])
        keys.append("")
        if name in accuracy and (MEAN not in columns or inputs.scales == tuple(range(2, 9))):
            title = join(["here: ", row_name(name), element("small", f"on {inputs.source}")])
            rows.append([title, *(_ours(inputs, scores, name, c) for c in columns)])
            keys.append(name)
    head = [
        join(["total accuracy, %", element("small", "faces right; 95 % interval")]),
        *columns,
    ]
    made = table(head, rows, label=source, row_keys=keys, column_keys=["", *columns])
    return join([element("h3", source), made])


def _printed(cell: PrintedCell | None) -> Markup:
    if cell is None:
        return Markup("<td>–</td>")
    if cell.column == MEAN:
        return element("td", cell.printed, class_="paper")
    mark = {"rounded": "", "cut off": "†", "none": "*"}[cell.verdict]
    faces = "no number" if cell.verdict == "none" else f"{cell.nearest:,}"
    return element(
        "td", cell.printed + mark, element("small", faces), _bounds(cell.interval), class_="paper"
    )


def _ours(inputs: ReportInputs, scores: Scores, name: str, column: str) -> Markup:
    """Our row in the form of the paper's: the same digits, the same kind of interval."""
    estimate = scores.tables["total_accuracy"][name].get(column)
    if estimate is None:
        return Markup("–")
    number = traced(name, column, f"{estimate.value:.{DECIMALS}f}")
    if column == MEAN:
        return number
    row = inputs.rows[name]
    right = int((row.predicted[column] == row.labels).sum())
    bounds = _bounds(wilson_interval(right, len(row), CONFIDENCE))
    return join([number, element("small", f"{right:,}"), bounds])


def _bounds(interval: Interval) -> Markup:
    return element("small", f"{interval.low:.1f}–{interval.high:.1f}")


def _audit(cells: list[PrintedCell]) -> Markup:
    """What the printed numbers can be, in words."""
    counted = [cell for cell in cells if cell.column != MEAN]
    by_verdict = {
        verdict: [cell for cell in counted if cell.verdict == verdict]
        for verdict in get_args(Verdict)
    }
    cut = ", ".join(f"{c.printed} ({c.method}, {c.column})" for c in by_verdict["cut off"])
    none = "; ".join(
        f"{c.printed} ({c.method}, {c.column}: {c.nearest:,} faces give "
        f"{100 * c.nearest / TEST_FACES:.{DECIMALS}f})"
        for c in by_verdict["none"]
    )
    return element(
        "p",
        f"Of the {len(counted)} printed shares {len(by_verdict['rounded'])} are a number of the "
        f"{TEST_FACES:,} test faces, rounded to the digits printed. † Cut off instead: {cut}. "
        f"* What no number of faces gives: {none}; their interval is that of the nearest number. "
        "Intervals are Wilson's, here and there; a mean over scales has none, for its faces come "
        "seven times.",
        class_="note",
    )
