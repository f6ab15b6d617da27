"""The paper's numbers: as printed, and compared only where that is fair."""

import re
from dataclasses import replace

import pytest

from fsr_fer.report.paper import SIZES, not_comparable, paper_rows
from tests import ROOT

PAPER = ROOT.parent / "shared/paper.txt"


def test_cells_equal_the_papers_text():
    if not PAPER.exists():
        pytest.skip("the paper's text (../shared/paper.txt) is not here")
    rows = {row["printed_name"]: [row[size] for size in SIZES] for row in paper_rows()}
    lines = [line.split("\t") for line in PAPER.read_text("utf-8").splitlines()]
    printed = {line[0]: [cell.replace("-", "") for cell in line[1:]] for line in lines}
    assert rows == {name: (printed[name] + [""] * 8)[:8] for name in rows}
    assert sum(cell != "" for row in rows.values() for cell in row) == 4 + 4 * 7 + 2 * 8


def test_printed_means_are_those_of_the_printed_cells():
    for row in paper_rows():
        if row["mean"]:
            mean = sum(float(row[size]) for size in SIZES[:-1]) / 7
            assert float(row["mean"]) == pytest.approx(mean, abs=0.0011)


def test_only_the_same_test_faces_are_comparable(inputs):
    assert not_comparable(inputs).startswith("Other data: not comparable")
    rafdb = replace(inputs, source="rafdb")
    assert "42 test faces here, 3,068 in the paper" in not_comparable(rafdb)


def test_our_numbers_stand_beside_the_papers(written):
    section = written.page.partition('<section id="paper">')[2]
    line = section.partition(">Bicubic<")[2].partition(">RCAN<")[0]
    bicubic = written.inputs.methods["bicubic"]
    right = sum(bicubic.predicted["x8"] == bicubic.labels)
    assert f"<td>40.264</td><td>{100 * right / 42:.1f}</td>" in line
    assert "<td>78.357</td><td>–</td>" in line  # this run has no x3
    assert re.search(r"<td>–</td><td>–</td>\s*</tr>", line)  # its mean is over other scales
    assert "not comparable" in section
