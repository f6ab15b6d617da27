"""The numbers of the report as files, for DVC, for Git and for whoever computes on with them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from fsr_fer.files import write_json, write_text
from fsr_fer.predictions import HR
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.report.scores import DECIMALS, MEAN, Estimate, Scores
from fsr_fer.statistics import Interval, Score

METRICS_FILES: dict[Score, str] = {
    "total_accuracy": "accuracy.json",
    "mean_class_accuracy": "mean_class_accuracy.json",
}


def write_metrics(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write the metrics of the whole table: percent with 3 decimals, the same bytes every time.

    ``accuracy.json`` and ``mean_class_accuracy.json`` hold row, then column, then the score;
    ``calibration.json`` in the same form the expected calibration error, a row's name alone where
    no confidence was stored; ``accuracy_by_scale.csv`` the lines of the figure, with 1 as the
    factor of full size.
    """
    for score, filename in METRICS_FILES.items():
        write_json(
            directory / filename,
            {
                name: {column: _percent(estimate.value) for column, estimate in row.items()}
                for name, row in scores.tables[score].items()
            },
        )
    write_json(
        directory / "calibration.json",
        {
            name: {column: _percent(cell.error.value) for column, cell in row.items()}
            for name, row in scores.calibration.items()
        },
    )
    _write_accuracy_by_scale(inputs, scores, directory / "accuracy_by_scale.csv")


def write_details(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write what is too much for ``dvc metrics diff``.

    ``intervals.json`` holds score, row, column, low and high; ``comparisons.csv`` each row against
    each reference, points of total and of mean-class accuracy; ``confusion.csv`` the counts;
    ``calibration.csv`` calibration errors beside mean confidence and accuracy.
    """
    write_json(
        directory / "intervals.json",
        {
            score: {
                name: {column: _bounds(estimate.interval) for column, estimate in row.items()}
                for name, row in table.items()
            }
            for score, table in scores.tables.items()
        },
    )
    _write_comparisons(scores, directory / "comparisons.csv")
    _write_confusion(inputs, scores, directory / "confusion.csv")
    _write_calibration(scores, directory / "calibration.csv")


def _percent(value: float) -> float:
    return round(value, DECIMALS) + 0.0  # no -0.0 in the files


def _estimate(estimate: Estimate) -> tuple[float, ...]:
    return _percent(estimate.value), *_bounds(estimate.interval).values()


def _bounds(interval: Interval) -> dict[str, float]:
    return {"low": _percent(interval.low), "high": _percent(interval.high)}


def _write_comparisons(scores: Scores, path: Path) -> None:
    rows = [
        (
            name,
            reference,
            column,
            *_estimate(comparison.difference),
            comparison.first_only,
            comparison.second_only,
            None if comparison.p_value is None else f"{comparison.p_value:.3g}",
            *_estimate(comparison.mean_class_difference),
        )
        for reference, against in scores.against.items()
        for name, comparisons in against.items()
        for column, comparison in comparisons.items()
    ]
    evidence = ("only_this_right", "only_reference_right", "adjusted_p_value")
    mean_class = ("mean_class_difference", "mean_class_low", "mean_class_high")
    header = ("row", "reference", "column", "difference", "low", "high", *evidence, *mean_class)
    _write_csv(path, header, rows)


def _write_calibration(scores: Scores, path: Path) -> None:
    rows = [
        (name, column, *_estimate(cell.error), _percent(cell.confidence), _percent(cell.accuracy))
        for name, cells in scores.calibration.items()
        for column, cell in cells.items()
    ]
    _write_csv(path, ("row", "column", "error", "low", "high", "confidence", "accuracy"), rows)


def _write_accuracy_by_scale(inputs: ReportInputs, scores: Scores, path: Path) -> None:
    pixels = inputs.pixels
    rows = [
        (
            name,
            1 if column == HR else int(column.removeprefix("x")),
            pixels[column],
            *_estimate(estimate),
        )
        for name, row in scores.tables["total_accuracy"].items()
        for column, estimate in row.items()
        if column != MEAN
    ]
    _write_csv(path, ("row", "scale", "pixels", "accuracy", "low", "high"), rows)


def _write_confusion(inputs: ReportInputs, scores: Scores, path: Path) -> None:
    rows = [
        (name, column, inputs.class_names[true], inputs.class_names[read], int(matrix[true, read]))
        for name, matrices in scores.confusion.items()
        for column, matrix in matrices.items()
        for true in range(len(inputs.class_names))
        for read in range(len(inputs.class_names))
    ]
    _write_csv(path, ("row", "column", "label", "predicted", "faces"), rows)


def _write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
