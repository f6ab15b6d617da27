"""The paper's numbers: as printed, as numbers of faces, and compared only where that is fair."""

from dataclasses import replace
from pathlib import Path

import pytest

from fsr_fer.report.paper import TEST_FACES, not_comparable, paper_section, printed_cells
from fsr_fer.report.scores import compute_scores

PAPER = Path(__file__).resolve().parents[2].parent / "shared" / "paper.txt"

# Faces read right, of 3068, worked out by hand from the printed percent; None where none fits.
RIGHT = {
    "Bicubic": [2593, 2404, 2230, 2061, 1856, 1619, None],
    "RCAN": [2631, 2548, 2483, 1838],
    "Meta-SR": [2664, 2568, None, 1884, 1491, 1339, 1766],
    "Meta-SR (re-trained)": [2651, 2576, 2530, 2024, 1689, 1508, None],
    "our FSR-FER": [2553, 2492, 2394, 2307, 2199, 2113, 1971],
    "w/o re-weighting": [2554, None, None, 2293, 2199, 2110, 1970],
    "w/ re-weighting": [2553, 2492, 2394, 2307, 2199, 2113, 1971],
}


def test_cells_are_numbers_of_faces_but_for_five():
    for method, faces in RIGHT.items():
        cells = [c for c in printed_cells() if c.method == method and c.column != "mean"]
        assert [cell.faces_right() for cell in cells] == faces
        for cell, right in zip(cells, faces, strict=True):
            if right is not None:
                assert 100 * right / TEST_FACES == pytest.approx(float(cell.printed), abs=0.008)


def test_printed_means_are_those_of_the_printed_cells():
    for method in ("w/o re-weighting", "w/ re-weighting"):
        values = {c.column: float(c.printed) for c in printed_cells() if c.method == method}
        mean = values.pop("mean")
        assert mean == pytest.approx(sum(values.values()) / 7, abs=0.0011)


def test_cells_equal_the_papers_text():
    if not PAPER.exists():
        pytest.skip("the paper's text (../shared/paper.txt) is not here")
    columns = [f"x{scale}" for scale in range(2, 9)] + ["mean"]
    lines = [line.split("\t") for line in PAPER.read_text("utf-8").splitlines()]
    expected = [
        (line[0], column, value)
        for line in lines
        if line[0] in RIGHT
        for column, value in zip(columns, line[1:], strict=False)
        if value != "-"
    ]
    assert len(expected) == 4 + 4 * 7 + 2 * 8
    assert [(c.method, c.column, c.printed) for c in printed_cells()] == expected


def test_only_the_same_test_faces_are_comparable(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    assert not_comparable(inputs).startswith("Other data: not comparable")
    rafdb = replace(inputs, source="rafdb")
    assert "42 test faces here, 3,068 in the paper" in not_comparable(rafdb)


def test_section_prints_the_papers_decimals_and_marks_the_odd_cells(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    section = paper_section(inputs, compute_scores(inputs))
    assert "84.518" in section
    assert "81.22<" in section
    assert "40.264*" in section
    assert "here: <code>bicubic</code>" in section
    assert "not comparable" in section
