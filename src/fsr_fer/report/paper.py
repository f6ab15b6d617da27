"""The numbers the paper prints (arXiv 2004.02234, tables 1 and 2), beside ours."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib import resources

from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.markup import Markup, element, join, table
from fsr_fer.report.scores import DECIMALS, MEAN, Scores

TEST_FACES = 3068
"""Test faces of RAF-DB, all of which the paper reads (section 4.1)."""


@dataclass(frozen=True)
class PrintedCell:
    """Total accuracy in percent as printed; ``row`` is the row of ours that stands for it."""

    source: str
    method: str
    row: str
    column: str
    printed: str

    def faces_right(self) -> int | None:
        """The number of faces of which this is the share; None where no number gives it.

        The last digit may be rounded or cut off (table 2 prints 81.22 where table 1 has 81.226).
        """
        unit = 10 ** len(self.printed.partition(".")[2])
        printed = round(float(self.printed) * unit)
        faces = round(float(self.printed) * TEST_FACES / 100)
        share = 100 * unit * faces / TEST_FACES
        return faces if printed in (round(share), math.floor(share)) else None


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
        + [_footnote(cells)]
    )


def _table(inputs: ReportInputs, scores: Scores, source: str, cells: list[PrintedCell]) -> Markup:
    accuracy = scores.tables["total_accuracy"]
    mine = [cell for cell in cells if cell.source == source]
    columns = [f"x{scale}" for scale in range(2, 9)]
    if any(cell.column == MEAN for cell in mine):
        columns.append(MEAN)
    rows: list[list[str]] = []
    for method in dict.fromkeys(cell.method for cell in mine):
        printed = {cell.column: cell for cell in mine if cell.method == method}
        name = next(iter(printed.values())).row
        rows.append([f"paper: {method}", *(_printed(printed.get(c)) for c in columns)])
        if name in accuracy and (MEAN not in columns or inputs.scales == tuple(range(2, 9))):
            ours = accuracy[name]
            rows.append(
                [
                    join(["here: ", element("code", name)]),
                    *(f"{ours[c].value:.{DECIMALS}f}" if c in ours else "–" for c in columns),
                ]
            )
    return join([element("h3", source), table(["total accuracy, %", *columns], rows, label=source)])


def _printed(cell: PrintedCell | None) -> Markup:
    if cell is None:
        return Markup("<td>–</td>")
    mark = "" if cell.faces_right() is not None or cell.column == MEAN else "*"
    return element("td", cell.printed + mark, class_="paper")


def _footnote(cells: list[PrintedCell]) -> Markup:
    odd = [c for c in cells if c.column != MEAN and c.faces_right() is None]
    named = ", ".join(f"{c.printed} ({c.method}, {c.column})" for c in odd)
    return element(
        "p",
        f"* Printed as in the paper, though no number of faces out of {TEST_FACES:,} gives it: "
        f"{named}.",
        class_="note",
    )
