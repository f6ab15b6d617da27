"""The numbers of the report, computed once: files under metrics/ and the page show these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from fsr_fer.predictions import HR, PredictionTable
from fsr_fer.statistics import (
    Interval,
    Score,
    bootstrap_interval,
    calibration_interval,
    confusion_matrix,
    discordant,
    expected_calibration_error,
    holm,
    mcnemar_exact,
    mean_class_accuracy,
    paired_bootstrap,
    total_accuracy,
)

if TYPE_CHECKING:
    from fsr_fer.report.inputs import ReportInputs

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
    """A method against another on the same faces: differences of scores in points, first - second.

    ``difference`` is of total accuracy, ``mean_class_difference`` of mean-class accuracy.
    ``p_value`` is that of McNemar's exact test, adjusted by Holm's method over all comparisons with
    the same reference; None for the mean over scales, where a face is not just right or wrong.
    """

    difference: Estimate
    first_only: int | None
    second_only: int | None
    p_value: float | None
    mean_class_difference: Estimate


@dataclass(frozen=True)
class Calibration:
    """Calibration of a method at one size; all percent.

    ``error`` is the expected calibration error; ``confidence`` the mean probability of the classes
    predicted, to be compared with ``accuracy``.
    """

    error: Estimate
    confidence: float
    accuracy: float


Table = Mapping[str, Mapping[str, Estimate]]
"""Method, then column ("hr", "x2", ..., "mean"); a method has no key for a scale it lacks."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of all methods, and each against those that all are compared with.

    ``against`` is keyed by the reference, the baseline first, then by the other rows and columns.
    ``calibration`` has no key for a column whose predictions were stored without confidence.
    """

    tables: Mapping[Score, Table]
    against: Mapping[str, Mapping[str, Mapping[str, Comparison]]]
    confusion: Mapping[str, Mapping[str, np.ndarray]]
    calibration: Mapping[str, Mapping[str, Calibration]]


def compute_scores(inputs: ReportInputs) -> Scores:
    """Every number of the report; only the p-values depend on which other rows there are."""
    tables = {
        score: {
            name: {
                column: _estimate(inputs, row, column, score) for column in _available(inputs, row)
            }
            for name, row in inputs.methods.items()
        }
        for score in get_args(Score)
    }
    confusion = {
        name: {
            column: confusion_matrix(row.labels, row.predicted[column], len(row.class_names))
            for column in inputs.columns
            if column in row.predicted
        }
        for name, row in inputs.methods.items()
    }
    return Scores(
        tables=tables,
        against={name: _against(inputs, name) for name in inputs.references},
        confusion=confusion,
        calibration={
            name: {
                column: _calibration(inputs, row, column)
                for column in inputs.columns
                if column in row.confidence
            }
            for name, row in inputs.methods.items()
        },
    )


def _available(inputs: ReportInputs, row: PredictionTable) -> list[str]:
    columns = [column for column in inputs.columns if column in row.predicted]
    if all(name in row.predicted for name in inputs.scale_names):
        columns.append(MEAN)
    return columns


def _predicted(inputs: ReportInputs, row: PredictionTable, column: str) -> np.ndarray:
    """What was predicted: int64 [N], or [S, N] for the mean over the scales."""
    if column == MEAN:
        return np.stack([row.predicted[name] for name in inputs.scale_names])
    return row.predicted[column]


def _seed(inputs: ReportInputs, column: str) -> tuple[int, int]:
    """(seed, position): the factor at a scale, 1 at full size, 0 for the mean over scales."""
    position = {MEAN: 0, HR: 1}.get(column)
    return inputs.seed, int(column.removeprefix("x")) if position is None else position


def _value(row: PredictionTable, predicted: np.ndarray, score: Score) -> float:
    value = total_accuracy if score == "total_accuracy" else mean_class_accuracy
    return value(row.labels, predicted)


def _estimate(inputs: ReportInputs, row: PredictionTable, column: str, score: Score) -> Estimate:
    predicted = _predicted(inputs, row, column)
    interval = bootstrap_interval(
        row.labels,
        predicted,
        score=score,
        confidence=inputs.confidence,
        resamples=inputs.resamples,
        seed=_seed(inputs, column),
    )
    return Estimate(_value(row, predicted, score), interval)


def _difference(
    inputs: ReportInputs, first: PredictionTable, second: PredictionTable, column: str, score: Score
) -> Estimate:
    """Difference of a score, points."""
    predicted = _predicted(inputs, first, column), _predicted(inputs, second, column)
    interval = paired_bootstrap(
        first.labels,
        *predicted,
        score=score,
        confidence=inputs.confidence,
        resamples=inputs.resamples,
        seed=_seed(inputs, column),
    )
    first_value, second_value = (_value(first, one, score) for one in predicted)
    return Estimate(first_value - second_value, interval)


def _calibration(inputs: ReportInputs, row: PredictionTable, column: str) -> Calibration:
    read = row.labels, row.predicted[column], row.confidence[column]
    interval = calibration_interval(
        *read,
        bins=inputs.calibration_bins,
        level=inputs.confidence,
        resamples=inputs.resamples,
        seed=_seed(inputs, column),
    )
    return Calibration(
        error=Estimate(expected_calibration_error(*read, bins=inputs.calibration_bins), interval),
        confidence=100.0 * float(row.confidence[column].mean()),
        accuracy=total_accuracy(row.labels, row.predicted[column]),
    )


def _against(inputs: ReportInputs, reference: str) -> dict[str, dict[str, Comparison]]:
    """Every other method against the reference, at all sizes that both have."""
    second = inputs.methods[reference]
    common = {
        name: [c for c in _available(inputs, row) if c in _available(inputs, second)]
        for name, row in inputs.methods.items()
        if name != reference
    }
    counts = {
        (name, column): discordant(
            second.labels, inputs.methods[name].predicted[column], second.predicted[column]
        )
        for name, columns in common.items()
        for column in columns
        if column != MEAN
    }
    p_values = dict(zip(counts, holm([mcnemar_exact(*c) for c in counts.values()]), strict=True))

    def compare(name: str, column: str) -> Comparison:
        first = inputs.methods[name]
        first_only, second_only = counts.get((name, column), (None, None))
        return Comparison(
            difference=_difference(inputs, first, second, column, "total_accuracy"),
            first_only=first_only,
            second_only=second_only,
            p_value=p_values.get((name, column)),
            mean_class_difference=_difference(inputs, first, second, column, "mean_class_accuracy"),
        )

    return {
        name: {column: compare(name, column) for column in columns}
        for name, columns in common.items()
    }
