"""PredictionTable come back as they were written; files that say something else are refused."""

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.evaluation.predictions import PredictionTable, parse_predictions, read_predictions

NAMES = ("happiness", 'odd, "name"', "neutral")


def make(**changes) -> PredictionTable:
    values = {
        "ids": ("a", "b,1", "c"),
        "labels": np.array([0, 1, 2]),
        "class_names": NAMES,
        "predicted": {"hr": np.array([0, 1, 1]), "x8": np.array([2, 2, 2])},
    }
    return PredictionTable(**(values | changes))


def test_round_trip(tmp_path):
    path = tmp_path / "predictions/row.csv"
    written = make()
    written.write(path)
    read = read_predictions(path, NAMES)
    assert (read.ids, read.class_names) == (written.ids, NAMES)
    assert list(read.predicted) == ["hr", "x8"]
    np.testing.assert_array_equal(read.labels, written.labels)
    for name, values in written.predicted.items():
        np.testing.assert_array_equal(read.predicted[name], values)
    first = path.read_bytes()
    read.write(path)
    assert path.read_bytes() == first
    assert first.startswith(b"id,label,hr,x8\na,happiness,happiness,neutral\n")


def test_confidences_come_back_with_three_decimals(tmp_path):
    path = tmp_path / "row.csv"
    given = np.array([0.12345, 1.0, 0.9996])
    make(confidence={"x8": given}).write(path)
    assert path.read_text().splitlines()[:2] == [
        "id,label,hr,x8,x8.confidence",
        "a,happiness,happiness,neutral,0.123",
    ]
    read = read_predictions(path, NAMES)
    assert list(read.confidence) == ["x8"]
    np.testing.assert_array_equal(read.confidence["x8"], [0.123, 1.0, 1.0])
    np.testing.assert_array_equal(read.predicted["x8"], [2, 2, 2])
    first = path.read_bytes()
    read.write(path)
    assert path.read_bytes() == first


def test_a_file_from_before_confidence_was_kept_has_none(tmp_path):
    path = tmp_path / "row.csv"
    path.write_text("id,label,hr\na,neutral,neutral\n")
    assert read_predictions(path, NAMES).confidence == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("a", "a", "c")}, "twice"),
        ({"labels": np.array([0, 1, 3])}, "outside 0..2"),
        ({"labels": np.array([0.0, 1.0, 2.0])}, "int64"),
        ({"predicted": {"x8": np.array([0, 1])}}, "expected int64"),
        ({"confidence": {"x2": np.zeros(3)}}, "key 'x2', predicted has not"),
        ({"confidence": {"hr": np.zeros(2)}}, "expected float64"),
        ({"confidence": {"hr": np.zeros(3, np.float32)}}, "expected float64"),
        ({"confidence": {"hr": np.array([0.5, 1.5, 0.5])}}, "outside 0..1"),
        ({"confidence": {"hr": np.array([0.5, np.nan, 0.5])}}, "outside 0..1"),
        ({"predicted": {"x1": np.array([0, 1, 2])}}, "expected hr, x2"),
    ],
)
def test_impossible_predictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no predictions"),
        ("id,label\n", "no predictions"),
        ("id,label,hr\n", "no predictions"),
        ("id,label,x1\na,neutral,neutral\n", "the key 'x1'; expected hr, x2"),
        ("id,hr\na,neutral\n", "no predictions as `dvc repro` writes them ('label')"),
        ("id,label,hr,x2.confidence\na,neutral,neutral,0.5\n", "key 'x2', predicted has not"),
        ("id,label,hr,hr.confidence\na,neutral,neutral,high\n", "'high'"),
        ("id,label,hr,hr.confidence\na,neutral,neutral,1.01\n", "outside 0..1"),
        ("id,label,hr,hr.confidence\na,neutral,neutral,nan\n", "outside 0..1"),
        ("id,label,hr\na,neutral\n", "no predictions"),
        ("id,label,hr\na,neutral,anger\n", "classes ['anger'] are none of"),
        ("id,label,hr\na,neutral,neutral\na,neutral,neutral\n", "an id occurs twice"),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, message):
    path = tmp_path / "row.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"row\.csv") as error:
        read_predictions(path, NAMES)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_predictions(tmp_path / "none.csv", NAMES)
    with pytest.raises(UserError, match="UTF-8"):
        parse_predictions(b"\xff\xfe\x00id", "binary.csv", NAMES)
