"""The paper's numbers: as printed, as numbers of faces, and compared only where that is fair."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fsr_fer.report.paper import TEST_FACES, not_comparable, paper_section, printed_cells
from fsr_fer.report.scores import compute_scores
from fsr_fer.statistics import wilson_interval

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
        found = [None if cell.verdict == "none" else cell.nearest for cell in cells]
        assert found == faces
        for cell, right in zip(cells, faces, strict=True):
            if right is not None:
                assert 100 * right / TEST_FACES == pytest.approx(float(cell.printed), abs=0.008)


def test_no_number_of_faces_at_all_gives_the_cells_called_impossible():
    shares = {f"{100 * faces / TEST_FACES:.3f}" for faces in range(TEST_FACES + 1)}
    cells = [c for c in printed_cells() if c.column != "mean" and len(c.printed) == 6]
    impossible = {(c.method, c.column, c.printed) for c in cells if c.printed not in shares}
    assert impossible == {
        ("Bicubic", "x8", "40.264"),
        ("Meta-SR", "x4", "81.305"),
        ("Meta-SR (re-trained)", "x8", "64.003"),
        ("w/o re-weighting", "x3", "81.169"),
        ("w/o re-weighting", "x4", "78.196"),
    }
    assert impossible == {(c.method, c.column, c.printed) for c in cells if c.verdict == "none"}


def test_the_one_cell_with_two_decimals_is_cut_off():
    found = [c for c in printed_cells() if c.column != "mean" and c.verdict == "cut off"]
    assert [(c.method, c.column, c.printed) for c in found] == [("w/ re-weighting", "x3", "81.22")]


def test_intervals_are_binomial():
    cell = next(c for c in printed_cells() if c.printed == "64.244")
    # By hand: Wilson's interval of 1971 of 3068 with z = 1.96.
    assert (cell.interval.low, cell.interval.high) == pytest.approx((62.53, 65.92), abs=0.01)


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
    assert "84.518<small>2,593</small>" in section
    assert "81.22†<small>2,492</small>" in section
    assert "40.264*<small>no number</small>" in section
    assert "40.264 (Bicubic, x8: 1,235 faces give 40.254)" in section
    assert "here: <code>bicubic</code><small>on csv</small>" in section
    assert "not comparable" in section


def test_our_rows_stand_beside_the_paper_with_counts_and_the_same_interval(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    section = paper_section(inputs, compute_scores(inputs))
    row = inputs.rows["bicubic"]
    right = sum(row.predicted["x8"] == row.labels)
    bounds = wilson_interval(int(right), len(row), 0.95)
    expected = f"<small>{right}</small><small>{bounds.low:.1f}–{bounds.high:.1f}</small>"
    assert f">{100 * right / len(row):.3f}</a>{expected}" in section


def test_audit_file_holds_every_cell_with_our_row_where_there_is_one(written):
    with open(written.directory / "paper_audit.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(printed_cells())
    bicubic = next(line for line in lines if line["printed"] == "40.264")
    assert (bicubic["faces"], bicubic["verdict"], bicubic["row_here"]) == ("", "none", "bicubic")
    assert bicubic["data_here"] == "csv"
    assert (
        float(bicubic["here"])
        == json.loads((written.metrics / "accuracy.json").read_text())["bicubic"]["x8"]
    )
    first = lines[0]
    assert (first["faces"], first["verdict"]) == ("2593", "rounded")
    assert float(first["low"]) < 84.518 < float(first["high"])
