"""The metric files say what anybody computes again from the predictions."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from fsr_fer.evaluation.statistics import mcnemar_exact
from fsr_fer.report.scores import as_good, compute_scores
from tests import ROOT
from tests.report.conftest import build_inputs, write


def test_accuracies_are_the_share_of_right_faces_and_the_mean_recall(written):
    accuracy = written.numbers("accuracy")
    assert list(accuracy) == ["bicubic", "fsr_plain", "rcan"]
    assert list(accuracy["rcan"]) == ["hr", "x8"]  # without x2 there is no mean
    for name, row in written.inputs.methods.items():
        for column, predicted in row.predicted.items():
            assert accuracy[name][column] == round(100 * np.mean(row.labels == predicted), 3)
    assert accuracy["bicubic"]["x2"] == 80.952  # 34 of 42
    assert accuracy["bicubic"]["mean"] == pytest.approx(100 * (34 + 21) / 84, abs=5e-4)
    bicubic = written.inputs.methods["bicubic"]
    right = bicubic.predicted["x8"] == bicubic.labels
    recall = np.mean([right[bicubic.labels == k].mean() for k in range(3)])
    of_class = written.numbers("mean_class_accuracy")
    assert of_class["bicubic"]["x8"] == pytest.approx(100 * recall, abs=5e-4)


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scores_lines(written, reference, score):
    """Lines of scores.csv by method and size; reference "" are the scores themselves."""
    return {
        (line["method"], line["size"]): line
        for line in read_csv(written.directory / "scores.csv")
        if (line["reference"], line["score"]) == (reference, score)
    }


@pytest.mark.parametrize(
    ("score", "file"),
    [
        ("total_accuracy", "accuracy"),
        ("mean_class_accuracy", "mean_class_accuracy"),
        ("calibration_error", "calibration"),
    ],
)
def test_every_score_has_its_interval(written, score, file):
    lines = scores_lines(written, "", score)
    values = written.numbers(file)
    assert len(lines) == sum(map(len, values.values()))
    for (method, size), line in lines.items():
        assert float(line["value"]) == values[method][size]
        assert 0 <= float(line["low"]) <= values[method][size] <= float(line["high"]) <= 100


@pytest.mark.parametrize("score", ["total_accuracy", "mean_class_accuracy"])
def test_differences_are_to_the_first_method(written, score):
    scores = written.numbers(score.removeprefix("total_"))
    lines = scores_lines(written, "bicubic", score)
    every = read_csv(written.directory / "scores.csv")
    assert {line["reference"] for line in every} == {"", "bicubic"}
    assert len(lines) == 4 + 2  # sizes and mean of fsr_plain, sizes of rcan
    for (method, size), line in lines.items():
        gain = scores[method][size] - scores["bicubic"][size]
        assert float(line["value"]) == pytest.approx(gain, abs=2e-3)
        assert float(line["low"]) <= gain + 1e-9
        assert gain - 1e-9 <= float(line["high"])
        assert (line["p_value"] == "") == (size == "mean" or score != "total_accuracy")
    if score == "total_accuracy":
        at_x8 = lines["fsr_plain", "x8"]
        assert (at_x8["method_only"], at_x8["reference_only"]) == ("13", "0")
        # Five comparisons: three sizes of fsr_plain and two of rcan; this one is the clearest.
        assert float(at_x8["p_value"]) == pytest.approx(5 * mcnemar_exact(13, 0), rel=1e-2)


def mixed_scores(inputs):
    """Those of ``inputs`` with one method more, which predicts what fsr_plain does."""
    methods = {**inputs.methods, "mixed_resolution": inputs.methods["fsr_plain"]}
    both = ("bicubic", "mixed_resolution")
    report = replace(inputs.report, references=both)
    return compute_scores(replace(inputs, methods=methods, report=report))


def test_methods_are_compared_with_each_reference(inputs):
    scores = mixed_scores(inputs)
    assert list(scores.differences) == ["bicubic", "mixed_resolution"]
    to_bicubic, to_mixed = (scores.differences[r]["total_accuracy"] for r in scores.differences)
    assert list(to_mixed) == ["bicubic", "fsr_plain", "rcan"]
    assert list(to_mixed["rcan"]) == ["hr", "x8"]
    same = to_mixed["fsr_plain"]["x8"]
    assert (same.value, same.method_only, same.reference_only, same.p_value) == (0, 0, 0, 1)
    assert not same.significant
    # Three methods with three sizes, one of them lacks one: eight tests with either reference.
    other = to_mixed["bicubic"]["x8"]
    assert (other.reference_only, other.method_only) == (13, 0)
    assert other.value == pytest.approx(-100 * 13 / 42)
    assert other.p_value == pytest.approx(8 * mcnemar_exact(13, 0))
    assert other.significant
    assert to_mixed["bicubic"]["mean"].high < 0
    assert to_mixed["bicubic"]["mean"].significant
    assert list(to_bicubic) == ["fsr_plain", "rcan", "mixed_resolution"]


def test_where_there_is_a_p_value_it_decides_and_not_the_interval(inputs):
    methods = {name: inputs.methods[name] for name in ("bicubic", "rcan")}
    tables = compute_scores(replace(inputs, methods=methods)).differences["bicubic"]
    total, by_class = (tables[score]["rcan"]["x8"] for score in tables)
    assert (total.method_only, total.reference_only) == (5, 0)
    assert total.p_value == pytest.approx(2 * 2 / 2**5)  # two sizes, both sides
    assert min(total.low, by_class.low) > 0
    assert (total.significant, by_class.significant) == (False, True)


def test_leads_that_may_be_chance_are_over_any_other_method(inputs):
    percent = {
        "bicubic": (90, 80, 50),
        "a": (90, 80, 80),
        "b": (90, 80, 78),
        "rcan": (90, None, 80),
    }
    inputs = build_inputs(inputs.data, percent=percent)
    # Of 42 faces at x8 a has 34 right, b one fewer, bicubic 21; rcan has no mean.
    leads = as_good(inputs, "a")
    assert leads.keys() == {"b"}
    assert leads["b"].value == pytest.approx(100 / 84)


def test_calibration_is_that_of_the_stored_confidence(written):
    errors = written.numbers("calibration")
    assert set(errors["rcan"]) == {"hr", "x8"}
    # bicubic at x8: 21 of 42 right, said with 0.8, the others with 0.45; two bins.
    assert errors["bicubic"]["x8"] == pytest.approx(100 * (0.2 + 0.45) / 2, abs=1e-3)
    confidence = scores_lines(written, "", "confidence")["bicubic", "x8"]
    assert float(confidence["value"]) == pytest.approx(100 * (0.8 + 0.45) / 2, abs=1e-3)


def test_the_share_of_votes_is_what_annotators_say_too(inputs, written, tmp_path):
    assert "Share of the votes" not in written.page
    manifest = inputs.manifest
    shares = np.zeros((len(manifest.labels), 3))
    faces = np.arange(len(shares))
    shares[faces, manifest.labels] = 0.75
    shares[faces, (manifest.labels + 1) % 3] = 0.25  # which the wrong predictions name
    voted = write(replace(inputs, manifest=replace(manifest, shares=shares)), tmp_path)
    lines = scores_lines(voted, "", "share_of_votes")
    for size, right, faces in (("x2", 34, 42), ("mean", 55, 84)):
        share = (right * 75 + (faces - right) * 25) / faces
        assert float(lines["bicubic", size]["value"]) == pytest.approx(share, abs=5e-4)
    assert ("rcan", "mean") not in lines
    said = " ".join(voted.page.split())
    assert "always naming what most of them say would have 75.0." in said


def test_accuracy_by_scale_is_the_same_table_in_long_form(written):
    lines = read_csv(written.metrics / "accuracy_by_scale.csv")
    accuracy = written.numbers("accuracy")
    assert len(lines) == 8
    plot = json.loads((ROOT / ".dvc/plots/by_method.json").read_text())
    assert plot["encoding"]["color"]["field"] in lines[0]
    for line in lines:
        column, pixels = {"1": ("hr", "100"), "2": ("x2", "50"), "8": ("x8", "13")}[line["scale"]]
        assert float(line["accuracy"]) == accuracy[line["method"]][column]
        assert line["pixels"] == pixels


def test_confusion_counts_every_face_once(written):
    lines = read_csv(written.directory / "confusion.csv")
    faces = {True: 0, False: 0}
    for line in lines:
        if (line["method"], line["size"]) == ("bicubic", "x8"):
            faces[line["label"] == line["predicted"]] += int(line["faces"])
    assert faces == {True: 21, False: 21}


def test_a_methods_numbers_do_not_depend_on_the_other_methods(inputs):
    report = replace(inputs.report, references=("rcan",))
    alone = replace(inputs, methods={"rcan": inputs.methods["rcan"]}, report=report)
    for score, table in compute_scores(alone).tables.items():
        assert table["rcan"] == compute_scores(inputs).tables[score]["rcan"]
