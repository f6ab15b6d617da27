"""The numbers of the report, computed once: files under metrics/ and the page show these."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from fsr_fer.files import write_json, write_text
from fsr_fer.predictions import HR, Predictions
from fsr_fer.report.inputs import ReportInputs
from fsr_fer.statistics import (
    Interval,
    Score,
    bootstrap_interval,
    confusion_matrix,
    discordant,
    holm,
    mcnemar_exact,
    mean_class_accuracy,
    paired_bootstrap,
    total_accuracy,
)

MEAN = "mean"
"""Column of the mean over all scales, full size left out (paper, table 2: "avg")."""

DECIMALS = 3
"""Of the percent in files: what the paper prints."""


@dataclass(frozen=True)
class Estimate:
    """A score in percent and its bootstrap interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Comparison:
    """A row against another on the same faces: difference of scores in points, first - second.

    ``p_value`` is that of McNemar's exact test, adjusted by Holm's method over all comparisons with
    the baseline; None for the mean over scales, where a face is not just right or wrong.
    """

    difference: Estimate
    first_only: int | None
    second_only: int | None
    p_value: float | None


METRICS_FILES: dict[Score, str] = {
    "total_accuracy": "accuracy.json",
    "mean_class_accuracy": "mean_class_accuracy.json",
}

Table = Mapping[str, Mapping[str, Estimate]]
"""Row name, then column ("hr", "x2", ..., "mean"); a row has no key for a scale it lacks."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of all rows, and each row against the baseline (the first row)."""

    tables: Mapping[Score, Table]
    against_baseline: Mapping[str, Mapping[str, Comparison]]
    pairs_of_means: Mapping[tuple[str, str], Estimate]
    confusion: Mapping[str, Mapping[str, np.ndarray]]


def compute_scores(inputs: ReportInputs) -> Scores:
    """Every number of the report; only the p-values depend on which other rows there are."""
    tables = {
        score: {
            name: {
                column: _estimate(inputs, row, column, score) for column in _available(inputs, row)
            }
            for name, row in inputs.rows.items()
        }
        for score in get_args(Score)
    }
    confusion = {
        name: {
            column: confusion_matrix(row.labels, row.predicted[column], len(row.class_names))
            for column in inputs.columns
            if column in row.predicted
        }
        for name, row in inputs.rows.items()
    }
    complete = [name for name, row in inputs.rows.items() if MEAN in _available(inputs, row)]
    pairs = {
        (first, second): _difference(inputs, inputs.rows[first], inputs.rows[second], MEAN)
        for first in complete
        for second in complete
        if first != second
    }
    return Scores(
        tables=tables,
        against_baseline=_against_baseline(inputs),
        pairs_of_means=pairs,
        confusion=confusion,
    )


def _available(inputs: ReportInputs, row: Predictions) -> list[str]:
    columns = [column for column in inputs.columns if column in row.predicted]
    if all(name in row.predicted for name in inputs.scale_names):
        columns.append(MEAN)
    return columns


def _answers(inputs: ReportInputs, row: Predictions, column: str) -> np.ndarray:
    """What was predicted: int64 [N], or [S, N] for the mean over the scales."""
    if column == MEAN:
        return np.stack([row.predicted[name] for name in inputs.scale_names])
    return row.predicted[column]


def _seed(inputs: ReportInputs, column: str) -> tuple[int, int]:
    """(seed, position): the factor at a scale, 1 at full size, 0 for the mean over scales."""
    position = {MEAN: 0, HR: 1}.get(column)
    return inputs.seed, int(column.removeprefix("x")) if position is None else position


def _estimate(inputs: ReportInputs, row: Predictions, column: str, score: Score) -> Estimate:
    value = total_accuracy if score == "total_accuracy" else mean_class_accuracy
    answers = _answers(inputs, row, column)
    interval = bootstrap_interval(
        row.labels,
        answers,
        score=score,
        confidence=inputs.confidence,
        resamples=inputs.resamples,
        seed=_seed(inputs, column),
    )
    return Estimate(value(row.labels, answers), interval)


def _difference(
    inputs: ReportInputs, first: Predictions, second: Predictions, column: str
) -> Estimate:
    """Difference in total accuracy, points."""
    answers = _answers(inputs, first, column), _answers(inputs, second, column)
    interval = paired_bootstrap(
        first.labels,
        *answers,
        score="total_accuracy",
        confidence=inputs.confidence,
        resamples=inputs.resamples,
        seed=_seed(inputs, column),
    )
    first_value, second_value = (total_accuracy(first.labels, answer) for answer in answers)
    return Estimate(first_value - second_value, interval)


def _against_baseline(inputs: ReportInputs) -> dict[str, dict[str, Comparison]]:
    baseline = inputs.rows[inputs.baseline]
    common = {
        name: [c for c in _available(inputs, row) if c in _available(inputs, baseline)]
        for name, row in inputs.rows.items()
        if name != inputs.baseline
    }
    counts = {
        (name, column): discordant(
            baseline.labels, inputs.rows[name].predicted[column], baseline.predicted[column]
        )
        for name, columns in common.items()
        for column in columns
        if column != MEAN
    }
    p_values = dict(zip(counts, holm([mcnemar_exact(*c) for c in counts.values()]), strict=True))

    def compare(name: str, column: str) -> Comparison:
        first_only, second_only = counts.get((name, column), (None, None))
        return Comparison(
            difference=_difference(inputs, inputs.rows[name], baseline, column),
            first_only=first_only,
            second_only=second_only,
            p_value=p_values.get((name, column)),
        )

    return {
        name: {column: compare(name, column) for column in columns}
        for name, columns in common.items()
    }


def write_metrics(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write the metrics of the whole table: percent with 3 decimals, the same bytes every time.

    ``accuracy.json`` and ``mean_class_accuracy.json`` hold row, then column, then the score;
    ``accuracy_by_scale.csv`` the lines of the figure, with 1 as the factor of full size.
    """
    for score, filename in METRICS_FILES.items():
        write_json(
            directory / filename,
            {
                name: {column: _percent(estimate.value) for column, estimate in row.items()}
                for name, row in scores.tables[score].items()
            },
        )
    _write_accuracy_by_scale(inputs, scores, directory / "accuracy_by_scale.csv")


def write_details(inputs: ReportInputs, scores: Scores, directory: Path) -> None:
    """Write what is too much for ``dvc metrics diff``.

    ``intervals.json`` holds score, row, column, low and high; ``comparisons.csv`` each row against
    the baseline; ``confusion.csv`` the counts.
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


def _percent(value: float) -> float:
    return round(value, DECIMALS) + 0.0  # no -0.0 in the files


def _bounds(interval: Interval) -> dict[str, float]:
    return {"low": _percent(interval.low), "high": _percent(interval.high)}


def _write_comparisons(scores: Scores, path: Path) -> None:
    values = ("difference", "low", "high")
    evidence = ("only_this_right", "only_baseline_right", "adjusted_p_value")
    rows = [
        (
            name,
            column,
            _percent(comparison.difference.value),
            *_bounds(comparison.difference.interval).values(),
            comparison.first_only,
            comparison.second_only,
            None if comparison.p_value is None else f"{comparison.p_value:.3g}",
        )
        for name, comparisons in scores.against_baseline.items()
        for column, comparison in comparisons.items()
    ]
    _write_csv(path, ("row", "column", *values, *evidence), rows)


def _write_accuracy_by_scale(inputs: ReportInputs, scores: Scores, path: Path) -> None:
    pixels = inputs.pixels
    rows = [
        (
            name,
            1 if column == HR else int(column.removeprefix("x")),
            pixels[column],
            _percent(estimate.value),
            *_bounds(estimate.interval).values(),
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
