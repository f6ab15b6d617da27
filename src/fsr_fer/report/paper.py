"""The numbers that the paper prints (arXiv 2004.02234, tables 1 and 2), beside ours."""

import csv
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from fsr_fer.report.inputs import ReportInputs

TEST_FACES = 3068
"""Test faces of RAF-DB, all of which the paper reads (section 4.1)."""

SIZES = ("x2", "x3", "x4", "x5", "x6", "x7", "x8", "mean")


class PaperRow(NamedTuple):
    """A line of one of the paper's tables; ``method`` is the one of ours that stands for it.

    ``accuracy`` is total accuracy in percent by size, as printed.
    """

    table: str
    printed_name: str
    method: str
    accuracy: Mapping[str, str]


def paper_rows() -> list[PaperRow]:
    """All lines of tables 1 and 2, in the paper's order; cells printed as "-" are left out."""
    text = resources.files("fsr_fer.report").joinpath("paper_tables.csv").read_text("utf-8")
    return [
        PaperRow(
            table=line["table"],
            printed_name=line["printed_name"],
            method=line["method"],
            accuracy={size: line[size] for size in SIZES if line[size]},
        )
        for line in csv.DictReader(text.splitlines())
    ]


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
