"""The numbers of the report, computed once: the metrics and the page show these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fsr_fer.evaluation.predictions import MEAN, PredictionTable, common_sizes
from fsr_fer.evaluation.statistics import (
    SCORES,
    Score,
    bootstrap_interval,
    calibration_interval,
    confusion_matrix,
    discordant,
    expected_calibration_error,
    holm,
    mcnemar_exact,
    observed,
)
from fsr_fer.report.inputs import ReportInputs


class Estimate(NamedTuple):
    """A score in percent with the bounds of its bootstrap interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A method's score minus a reference's on the same faces, points, with its interval.

    ``p_value``: McNemar's exact test, adjusted by Holm's method over all comparisons with the
    reference; None for mean-class accuracy and the mean over scales. ``significant``: p-value
    below 1 - the level of intervals, or without one an interval that excludes 0.
    """

    value: float
    low: float
    high: float
    significant: bool
    p_value: float | None = None
    method_only: int | None = None
    reference_only: int | None = None


class Calibration(NamedTuple):
    """Expected calibration error and mean confidence at one size, percent."""

    error: Estimate
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of all methods; a method has no key for a size without predictions or confidence.

    Keys are in this order: reference, score, method, size. ``confusion`` is int64 [K, K], rows
    true, columns predicted.
    """

    tables: Mapping[Score, Mapping[str, Mapping[str, Estimate]]]
    differences: Mapping[str, Mapping[Score, Mapping[str, Mapping[str, Difference]]]]
    confusion: Mapping[str, Mapping[str, np.ndarray]]
    calibration: Mapping[str, Mapping[str, Calibration]]
    agreement: Mapping[str, Mapping[str, float]]
    """By method and size the share of the annotators' votes that its predictions have, percent."""
    agreement_ceiling: float | None
    """The same for the class with the most votes of each face: the largest possible value."""

    def best(self, size: str, score: Score = "total_accuracy") -> list[str]:
        """The methods with the highest score at this size; several if they are equal."""
        table = self.tables[score]
        values = {name: row[size].value for name, row in table.items() if size in row}
        return [name for name, value in values.items() if value == max(values.values())]


def compute_scores(inputs: ReportInputs) -> Scores:
    """Every number of the report; only p-values depend on the other methods."""
    methods = inputs.methods
    agreement: dict[str, dict[str, float]] = {}
    ceiling = None
    sizes = {name: common_sizes([p], inputs.scales) for name, p in methods.items()}
    if inputs.manifest.shares is not None:
        shares = inputs.manifest.shares[inputs.manifest.rows("test")].astype(np.float64)
        faces = np.arange(len(shares))
        agreement = {
            name: {
                size: 100.0 * float(shares[faces, p.at(size, inputs.scales)].mean())
                for size in sizes[name]
            }
            for name, p in methods.items()
        }
        ceiling = 100.0 * float(shares.max(axis=1).mean())
    return Scores(
        tables={
            score: {
                name: {size: _estimate(inputs, size, score, p) for size in sizes[name]}
                for name, p in methods.items()
            }
            for score in SCORES
        },
        differences={
            reference: {score: _differences(inputs, reference, score) for score in SCORES}
            for reference in inputs.report.references
        },
        confusion={
            name: {
                size: confusion_matrix(p.labels, predicted, len(p.class_names))
                for size, predicted in p.predicted.items()
            }
            for name, p in methods.items()
        },
        calibration={
            name: {size: _calibration(inputs, p, size) for size in p.confidence}
            for name, p in methods.items()
        },
        agreement=agreement,
        agreement_ceiling=ceiling,
    )


def as_good(inputs: ReportInputs, best: str) -> dict[str, Estimate]:
    """The best method's leads over the others, on the mean over scales, that may be chance."""
    leads = {
        name: _estimate(inputs, MEAN, "total_accuracy", inputs.methods[best], other)
        for name, other in inputs.methods.items()
        if name != best and MEAN in common_sizes([other], inputs.scales)
    }
    return {name: lead for name, lead in leads.items() if lead.low <= 0}


def _resampling(inputs: ReportInputs, size: str) -> dict[str, Any]:
    """How intervals are made; the seed is the run's and the size's factor."""
    settings = inputs.report
    seed = (inputs.seed, inputs.factors.get(size, 0))
    return {"level": settings.confidence, "resamples": settings.resamples, "seed": seed}


def _estimate(inputs: ReportInputs, size: str, score: Score, *methods: PredictionTable) -> Estimate:
    """A method's score, or the first one's minus the second one's."""
    labels = methods[0].labels
    predicted = [method.at(size, inputs.scales) for method in methods]
    options = _resampling(inputs, size)
    value, *second = (observed(labels, classes, score) for classes in predicted)
    interval = bootstrap_interval(labels, *predicted, score=score, **options)
    return Estimate(value - sum(second), *interval)


def _calibration(inputs: ReportInputs, method: PredictionTable, size: str) -> Calibration:
    faces = method.labels, method.predicted[size], method.confidence[size]
    bins = inputs.report.calibration_bins
    interval = calibration_interval(*faces, bins=bins, **_resampling(inputs, size))
    return Calibration(
        error=Estimate(expected_calibration_error(*faces, bins=bins), *interval),
        confidence=100.0 * float(method.confidence[size].mean()),
    )


def _differences(
    inputs: ReportInputs, reference: str, score: Score
) -> dict[str, dict[str, Difference]]:
    """Every other method minus the reference, at all sizes that both have."""
    second = inputs.methods[reference]
    table: dict[str, dict[str, Difference]] = {}
    tested: dict[tuple[str, str], float] = {}
    for name, first in inputs.methods.items():
        if name == reference:
            continue
        row = table[name] = {}
        for size in common_sizes([first, second], inputs.scales):
            estimate = _estimate(inputs, size, score, first, second)
            cell = Difference(*estimate, significant=estimate.low > 0 or estimate.high < 0)
            if score == "total_accuracy" and size != MEAN:
                only = discordant(first.labels, first.predicted[size], second.predicted[size])
                tested[name, size] = mcnemar_exact(*only)
                cell = cell._replace(method_only=only[0], reference_only=only[1])
            row[size] = cell
    for (name, size), p_value in zip(tested, holm(list(tested.values())), strict=True):
        row = table[name]
        significant = p_value < 1 - inputs.report.confidence
        row[size] = row[size]._replace(p_value=p_value, significant=significant)
    return table
