"""The numbers that the paper prints (arXiv 2004.02234, tables 1 and 2), beside ours."""

import csv
from pathlib import Path

from fsr_fer.report.inputs import ReportInputs

TEST_FACES = 3068
"""Test faces of RAF-DB, all of which the paper uses (section 4.1)."""

SIZES = ("x2", "x3", "x4", "x5", "x6", "x7", "x8", "mean")


def paper_rows() -> list[dict[str, str]]:
    """All lines of tables 1 and 2, in the paper's order.

    Total accuracy in percent by size, as printed, empty where that is "-"; the ``table``'s
    number, and the ``method`` of ours that stands for ``printed_name``.
    """
    text = Path(__file__).with_name("paper_tables.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def not_comparable(inputs: ReportInputs) -> str:
    """Why the paper's numbers are not comparable with ours; empty if they are."""
    if inputs.source != "rafdb":
        return "Other data: not comparable. The paper uses RAF-DB, this run other faces."
    if (count := len(inputs.manifest.rows("test"))) != TEST_FACES:
        return f"Not comparable: {count:,} test faces here, {TEST_FACES:,} in the paper."
    return ""
