"""Another tool's row: scored and tested as ours; what nobody knows of it stays empty."""

from dataclasses import replace

import numpy as np
import pytest

from fsr_fer.report.inputs import ReportInputs
from tests.report.conftest import Written, write
from tests.report.test_page import Collector
from tests.report.test_scores import scores_lines


def with_tool(inputs: ReportInputs, *sizes: str, confident: bool = False) -> ReportInputs:
    """A tool that is right for every one of the 42 test faces."""
    labels = inputs.methods["bicubic"].labels
    tool = replace(
        inputs.methods["bicubic"],
        predicted=dict.fromkeys(sizes, labels),
        confidence={size: np.full(len(labels), 0.75) for size in sizes if confident},
    )
    return replace(inputs, methods={**inputs.methods, "tool": tool}, imported=("tool",))


def row(written: Written, section: str) -> list[str]:
    """The cells of the tool's row in the first table of a section, without small print."""
    page = written.page.partition(f'<section id="{section}">')[2]
    line = page.partition('<th scope="row"><code>tool</code></th>')[2].partition("</tr>")[0]
    cells = line.split("<td>")[1:]
    return [Collector(cell.split("<small>")[0].replace("</td>", "")).text for cell in cells]


def test_labels_alone_have_scores_and_tests_and_nothing_else(inputs, written, tmp_path):
    cost = (written.directory / "cost.svg").read_bytes()
    written = write(with_tool(inputs, "hr", "x8"), tmp_path)
    assert (written.directory / "cost.svg").read_bytes() == cost  # nobody knows the tool's
    assert written.numbers("accuracy")["tool"] == {"hr": 100, "x8": 100}
    assert written.numbers("mean_class_accuracy")["tool"] == {"hr": 100, "x8": 100}
    assert written.numbers("calibration")["tool"] == {}
    test = scores_lines(written, "bicubic", "total_accuracy")["tool", "x8"]
    # bicubic has 21 of 42; of the seven tests (3 + 2 + 2 sizes) this p-value is the smallest.
    assert (test["value"], test["method_only"], test["reference_only"]) == ("50.0", "21", "0")
    assert float(test["p_value"]) == pytest.approx(7 * 2 / 2**21, rel=2e-3)
    assert row(written, "cost") == ["–"] * 5  # parameters, hr, x2, x8, mean
    assert row(written, "calibration") == ["–"] * 3
    shown = row(written, "scores")
    assert (shown[0], shown[1], shown[3]) == ("100.0", "–", "–")
    said = "Nobody knows those of predictions that were imported: tool."
    assert said in Collector(written.page).text


def test_probabilities_have_a_calibration(inputs, tmp_path):
    written = write(with_tool(inputs, "x2", confident=True), tmp_path)
    assert written.numbers("calibration")["tool"] == {"x2": 25}  # always right, with 0.75


def test_a_tool_that_is_the_best_and_has_sizes_that_no_method_of_ours_has(inputs, tmp_path):
    more = with_tool(inputs, "hr", "x2", "x8")
    few = {name: more.methods[name] for name in ("rcan", "tool")}  # rcan has no x2, so no mean
    written = write(
        replace(more, methods=few, report=replace(more.report, references=("rcan",))), tmp_path
    )
    assert "tool is the most accurate on the mean of x2–x8" in Collector(written.page).text
    assert written.numbers("accuracy")["tool"]["mean"] == 100
    assert "mean of" not in (written.directory / "cost.svg").read_text()
