"""Another tool's row: scored and tested as ours; what nobody knows of it stays empty."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from fsr_fer.report.inputs import ReportInputs
from tests.report.conftest import Written, write
from tests.report.test_page import Collector


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
    page = written.page
    page = page[page.index(f'<section id="{section}">') :]
    page = page[page.index('<th scope="row"><code>tool</code></th>') :]
    cells = page[: page.index("</tr>")].split("<td>")[1:]
    return [Collector(cell.split("<small>")[0].replace("</td>", "")).text for cell in cells]


def numbers(written: Written, name: str) -> dict[str, float]:
    return json.loads((written.metrics / f"{name}.json").read_text())["tool"]


def test_labels_alone_have_scores_and_tests_and_nothing_else(inputs, tmp_path):
    written = write(with_tool(inputs, "hr", "x8"), tmp_path)
    assert numbers(written, "accuracy") == {"hr": 100, "x8": 100}
    assert numbers(written, "mean_class_accuracy") == {"hr": 100, "x8": 100}
    assert numbers(written, "calibration") == {}
    with open(written.directory / "scores.csv", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == "tool"]
    key = {"reference": "bicubic", "size": "x8", "score": "total_accuracy"}
    (test,) = [line for line in lines if key.items() <= line.items()]
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
    assert numbers(written, "calibration") == {"x2": 25}  # always right, with 0.75


def test_a_tool_that_is_the_best_and_has_sizes_that_no_method_of_ours_has(inputs, tmp_path):
    more = with_tool(inputs, "hr", "x2", "x8")
    few = {name: more.methods[name] for name in ("rcan", "tool")}  # rcan has no x2, so no mean
    written = write(replace(more, methods=few), tmp_path)
    assert "tool is the most accurate over all sizes" in Collector(written.page).text
    assert numbers(written, "accuracy")["mean"] == 100
    assert "mean of" not in (written.directory / "cost.svg").read_text()


def test_the_rows_of_ours_stay_as_they_are(inputs, written, tmp_path):
    """All but p-values, which are adjusted for one comparison more at each size."""
    more = write(with_tool(inputs, "hr"), tmp_path)
    table = json.loads((more.metrics / "accuracy.json").read_text())
    del table["tool"]
    assert table == json.loads((written.metrics / "accuracy.json").read_text())
    for name in ("cost.svg", "faces.png"):
        assert (more.directory / name).read_bytes() == (written.directory / name).read_bytes()
