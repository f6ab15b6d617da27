"""The numbers of the report as files, for DVC, for Git and for whoever computes on with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsr_fer.files import write_csv, write_json
from fsr_fer.predictions import HR
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.scores import DECIMALS, MEAN, Estimate, Scores
from fsr_fer.statistics import Score

METRICS_FILES: dict[Score, str] = {
    "total_accuracy": "accuracy.json",
    "mean_class_accuracy": "mean_class_accuracy.json",
}


def write_metrics(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write the metrics of the whole table: percent with 3 decimals, the same bytes every time.

    ``accuracy.json`` and ``mean_class_accuracy.json`` hold method, then column, then the score;
    ``calibration.json`` in the same form the expected calibration error, a method's name alone
    where no confidence was stored; ``accuracy_by_scale.csv`` the lines of the figure, with 1 as the
    factor of full size.
    """
    errors = {
        name: {column: cell.error for column, cell in row.items()}
        for name, row in scores.calibration.items()
    }
    files = {METRICS_FILES[score]: table for score, table in scores.tables.items()}
    for filename, table in {**files, "calibration.json": errors}.items():
        write_json(
            directory / filename,
            {name: {c: _percent(e.value) for c, e in row.items()} for name, row in table.items()},
        )
    lines = [
        (name, 1 if c == HR else int(c.removeprefix("x")), inputs.pixels[c], *_numbers(estimate))
        for name, row in scores.tables["total_accuracy"].items()
        for c, estimate in row.items()
        if c != MEAN
    ]
    columns = ("row", "scale", "pixels", "accuracy", "low", "high")
    write_csv(directory / "accuracy_by_scale.csv", columns, lines)


def write_details(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write what is too much for ``dvc metrics diff``.

    ``scores.csv`` holds every score with its interval, ``comparisons.csv`` each method against each
    reference, points of total and of mean-class accuracy; ``confusion.csv`` the counts.
    """
    header = ("method", "size", "score", "value", "low", "high")
    write_csv(directory / "scores.csv", header, _scores(scores))
    compared = (
        *("method", "reference", "size", "difference", "low", "high"),
        *("only_this_right", "only_reference_right", "adjusted_p_value"),
        *("mean_class_difference", "mean_class_low", "mean_class_high"),
    )
    write_csv(directory / "comparisons.csv", compared, _comparisons(scores))
    counted = ("method", "size", "label", "predicted", "faces")
    write_csv(directory / "confusion.csv", counted, _confusion(inputs, scores))


def _scores(scores: Scores) -> Iterator[tuple[Any, ...]]:
    for score, table in scores.tables.items():
        for name, row in table.items():
            for column, estimate in row.items():
                yield name, column, score, *_numbers(estimate)
    for name, cells in scores.calibration.items():
        for column, cell in cells.items():
            yield name, column, "calibration_error", *_numbers(cell.error)
            yield name, column, "mean_confidence", _percent(cell.confidence), None, None


def _comparisons(scores: Scores) -> Iterator[tuple[Any, ...]]:
    for reference, against in scores.against.items():
        for name, comparisons in against.items():
            for column, comparison in comparisons.items():
                p = comparison.p_value
                yield (
                    name,
                    reference,
                    column,
                    *_numbers(comparison.difference),
                    comparison.first_only,
                    comparison.second_only,
                    None if p is None else f"{p:.3g}",
                    *_numbers(comparison.mean_class_difference),
                )


def _confusion(inputs: ReportInputs, scores: Scores) -> Iterator[tuple[Any, ...]]:
    names = inputs.class_names
    for method, matrices in scores.confusion.items():
        for column, matrix in matrices.items():
            for true, label in enumerate(names):
                for predicted, name in enumerate(names):
                    yield method, column, label, name, int(matrix[true, predicted])


def _percent(value: float) -> float:
    return round(value, DECIMALS) + 0.0  # no -0.0 in the files


def _numbers(estimate: Estimate) -> tuple[float, float, float]:
    interval = estimate.interval
    return _percent(estimate.value), _percent(interval.low), _percent(interval.high)
