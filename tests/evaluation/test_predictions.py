"""PredictionTable come back as they were written; files that say something else are refused."""

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.evaluation.predictions import (
    PredictionTable,
    by_size,
    common_sizes,
    parse_predictions,
)

NAMES = ("happiness", 'odd, "name"', "neutral")


def test_tables_come_back_with_confidence_in_three_decimals(tmp_path):
    path = tmp_path / "predictions/row.csv"
    written = PredictionTable(
        ids=("a", "b,1", "c"),
        labels=np.array([0, 1, 2]),
        class_names=NAMES,
        predicted={"hr": np.array([0, 1, 1]), "x8": np.array([2, 2, 2])},
        confidence={"x8": np.array([0.12345, 1.0, 0.9996])},
    )
    written.write(path)
    first = path.read_bytes()
    assert first.decode().splitlines()[:2] == [
        "id,label,hr,x8,x8.confidence",
        "a,happiness,happiness,neutral,0.123",
    ]
    read = parse_predictions(first, path, NAMES)
    assert (read.ids, read.class_names) == (written.ids, NAMES)
    np.testing.assert_array_equal(read.labels, written.labels)
    np.testing.assert_equal(read.predicted, written.predicted)
    np.testing.assert_equal(read.confidence, {"x8": np.array([0.123, 1.0, 1.0])})
    read.write(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no predictions"),
        (b"id,hr\na,neutral\n", "no predictions as `dvc repro` writes them ('label')"),
        (b"id,label,hr,hr.confidence\na,neutral,neutral,high\n", "'high'"),
        (b"id,label,hr\na,neutral,neutral\nb,neutral\n", "no predictions"),
        (b"id,label,hr\na,neutral,anger\n", "classes ['anger'] are none of"),
        (b"\xff\xfe\x00id", "utf-8"),
    ],
)
def test_bad_files_are_one_line(content, message):
    with pytest.raises(UserError, match=r"^row\.csv: [^\n]+$") as error:
        parse_predictions(content, "row.csv", NAMES)
    assert message in str(error.value)


def test_the_mean_needs_every_scale_and_not_full_size():
    def table(*sizes):
        column = np.array([0])
        predicted = dict.fromkeys(sizes, column)
        return PredictionTable(ids=("a",), labels=column, class_names=NAMES, predicted=predicted)

    assert common_sizes([table("x2", "x4")], (2, 4)) == ["x2", "x4", "mean"]
    assert common_sizes([table("hr", "x2", "x4"), table("hr", "x4")], (2, 4)) == ["hr", "x4"]
    assert by_size({"mean", "x10", "x2", "hr"}) == ["hr", "x2", "x10", "mean"]
