"""The numbers that the paper prints (arXiv 2004.02234, tables 1 and 2), beside ours."""

from __future__ import annotations

import csv
from importlib import resources
from typing import Any

from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.scores import MEAN, Scores

TEST_FACES = 3068
"""Test faces of RAF-DB, all of which the paper reads (section 4.1)."""


def printed_cells() -> list[dict[str, str]]:
    """All cells of tables 1 and 2 in the paper's order, but those printed as "-".

    Each has ``source``, ``method``, ``row`` (the method of ours that stands for it), ``column``
    and ``printed``, total accuracy in percent.
    """
    text = resources.files("fsr_fer.report").joinpath("paper_tables.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def why_not_comparable(inputs: ReportInputs) -> str:
    """Why the paper's numbers are no yardstick for ours; empty where they are one."""
    num_test = len(inputs.manifest.rows("test"))
    if inputs.source != "rafdb":
        return (
            "Other data: not comparable. The paper tests on RAF-DB; a higher or lower number here "
            "says nothing about the method."
        )
    if num_test != TEST_FACES:
        return (
            f"Not the same test set: {num_test:,} test faces here, {TEST_FACES:,} in the paper. "
            "The numbers are not comparable."
        )
    return ""


def paper_tables(scores: Scores) -> list[dict[str, Any]]:
    """The paper's tables: for each method and size what is printed and what we have."""
    accuracy = scores.tables["total_accuracy"]
    tables: dict[str, dict[str, Any]] = {}
    for cell in printed_cells():
        table = tables.setdefault(cell["source"], {"title": cell["source"], "methods": {}})
        name = f"{cell['method']} / {cell['row']}"
        ours = accuracy.get(cell["row"], {}).get(cell["column"])
        here = "–" if ours is None else f"{ours.value:.1f}"
        table["methods"].setdefault(name, {})[cell["column"]] = (cell["printed"], here)
    for table in tables.values():
        sizes = {size for cells in table["methods"].values() for size in cells}
        table["columns"] = sorted(sizes, key=lambda size: (size == MEAN, size))
    return list(tables.values())
