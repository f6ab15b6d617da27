"""The paper's numbers: as printed, and compared only where that is fair."""

from dataclasses import replace
from pathlib import Path

import pytest

from fsr_fer.report.paper import TEST_FACES, paper_tables, printed_cells, why_not_comparable
from fsr_fer.report.scores import compute_scores

PAPER = Path(__file__).resolve().parents[2].parent / "shared" / "paper.txt"
METHODS = list(dict.fromkeys(cell["method"] for cell in printed_cells()))


def test_cells_equal_the_papers_text():
    if not PAPER.exists():
        pytest.skip("the paper's text (../shared/paper.txt) is not here")
    columns = [f"x{scale}" for scale in range(2, 9)] + ["mean"]
    lines = [line.split("\t") for line in PAPER.read_text("utf-8").splitlines()]
    expected = [
        (line[0], column, value)
        for line in lines
        if line[0] in METHODS
        for column, value in zip(columns, line[1:], strict=False)
        if value != "-"
    ]
    assert len(expected) == 4 + 4 * 7 + 2 * 8
    assert [(c["method"], c["column"], c["printed"]) for c in printed_cells()] == expected


def test_no_number_of_faces_gives_the_five_cells_that_docs_name():
    """docs/results.md says which; 81.22 alone has two decimals, cut off from 81.226."""
    shares = {f"{100 * faces / TEST_FACES:.3f}" for faces in range(TEST_FACES + 1)}
    cells = [c for c in printed_cells() if c["column"] != "mean"]
    assert {
        (c["method"], c["column"], c["printed"]) for c in cells if c["printed"] not in shares
    } == {
        ("Bicubic", "x8", "40.264"),
        ("Meta-SR", "x4", "81.305"),
        ("Meta-SR (re-trained)", "x8", "64.003"),
        ("w/o re-weighting", "x3", "81.169"),
        ("w/o re-weighting", "x4", "78.196"),
        ("w/ re-weighting", "x3", "81.22"),
    }


def test_printed_means_are_those_of_the_printed_cells():
    for method in ("w/o re-weighting", "w/ re-weighting"):
        values = {
            c["column"]: float(c["printed"]) for c in printed_cells() if c["method"] == method
        }
        mean = values.pop("mean")
        assert mean == pytest.approx(sum(values.values()) / 7, abs=0.0011)


def test_only_the_same_test_faces_are_comparable(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    assert why_not_comparable(inputs).startswith("Other data: not comparable")
    rafdb = replace(inputs, source="rafdb")
    assert "42 test faces here, 3,068 in the paper" in why_not_comparable(rafdb)


def test_our_numbers_stand_beside_the_papers(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    first, second = paper_tables(compute_scores(inputs))
    assert first["columns"] == ["x2", "x3", "x4", "x5", "x6", "x7", "x8"]
    assert second["columns"][-1] == "mean"
    right = sum(inputs.methods["bicubic"].predicted["x8"] == inputs.methods["bicubic"].labels)
    bicubic = first["methods"]["Bicubic / bicubic"]
    assert bicubic["x8"] == ("40.264", f"{100 * right / 42:.1f}")
    assert bicubic["x3"] == ("78.357", "–")  # this run has no x3
    assert "x5" not in first["methods"]["RCAN / rcan"]
