"""Two revisions side by side: accuracies, what caused the difference, and whether it is noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fsr_fer.predictions import HR, PredictionTable
from fsr_fer.review.noise import paired_test
from fsr_fer.review.results import MEAN, Data, Results
from fsr_fer.review.revisions import flatten, same
from fsr_fer.statistics import discordant, holm


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A row at one size, before and after, in percent; None where a revision lacks it.

    ``p_value`` is adjusted by Holm's method: over all rows and sizes, and for the means over all
    rows. None if there are no predictions of the same faces to test with. ``only_before`` and
    ``only_after`` are numbers of faces that one revision alone reads right; None for the mean.
    """

    before: float | None
    after: float | None
    p_value: float | None = None
    only_before: int | None = None
    only_after: int | None = None

    @property
    def difference(self) -> float | None:
        """After minus before, points."""
        if self.before is None or self.after is None:
            return None
        return round(self.after - self.before, 3) + 0.0  # no -0.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that two revisions have in different form; None where one lacks it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that a reviewer is told. ``level``: a p-value below it is more than noise."""

    before: Results
    after: Results
    level: float
    table: Mapping[str, Mapping[str, Cell]]
    params: tuple[Change, ...]
    other_profiles: int  # params of other profiles that changed, which no number here reads
    data: tuple[Change, ...]
    code: tuple[Change, ...]
    untested: str | None  # why the differences could not be tested, None if they were
    doubts: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Full size, the scales by factor, the mean: those that any row has."""
        known = {column for row in self.table.values() for column in row}
        scales = sorted(known - {HR, MEAN}, key=lambda column: int(column.removeprefix("x")))
        return [*([HR] if HR in known else []), *scales, *([MEAN] if MEAN in known else [])]

    def is_clear(self, cell: Cell) -> bool:
        """Whether the difference is more than noise."""
        return cell.p_value is not None and cell.p_value < self.level


def compare(before: Results, after: Results) -> Comparison:
    """Compare two revisions' results of one profile."""
    untested = _obstacle(before, after)
    return Comparison(
        before=before,
        after=after,
        level=_level(after),
        table=_table(before, after, test=untested is None),
        params=tuple(_own_params(before, after)),
        other_profiles=sum(1 for _ in _foreign_params(before, after)),
        data=tuple(_changes(before.data, after.data)),
        code=tuple(_changes(before.inputs, after.inputs)),
        untested=untested,
        doubts=tuple([*before.doubts(), *after.doubts()]),
    )


def _level(results: Results) -> float:
    """1 - evaluate.confidence, as in the report."""
    section = results.params.get("evaluate")
    confidence = section.get("confidence") if isinstance(section, Mapping) else None
    return round(1 - confidence, 10) if isinstance(confidence, (int, float)) else 0.05


def _obstacle(before: Results, after: Results) -> str | None:
    """Why nothing can be tested face by face, or None."""
    for results in (before, after):
        if not results.accuracy:
            return f"{results.revision.title} has no results of profile {results.profile}"
    lost = {
        results.revision.title: missing
        for results in (before, after)
        if (missing := [row for row in results.accuracy if row not in results.predictions])
    }
    if lost:
        where = "; ".join(f"{title}: {', '.join(rows)}" for title, rows in lost.items())
        return (
            "the predictions are neither in DVC's cache nor in a remote "
            f"({where}); `dvc pull --all-commits` or `dvc repro` there may bring them"
        )
    if before.class_names != after.class_names:
        return "the classes differ"
    if before.test_faces is None or after.test_faces is None:
        return f"{after.manifest} is neither in DVC's cache nor in a remote"
    if before.test_faces != after.test_faces:
        return (
            f"the test faces differ ({len(before.test_faces):,} before, "
            f"{len(after.test_faces):,} after)"
        )
    return None


def _table(before: Results, after: Results, *, test: bool) -> dict[str, dict[str, Cell]]:
    rows = list(dict.fromkeys([*before.accuracy, *after.accuracy]))
    p_values: dict[tuple[str, str], float] = {}
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    if test:
        common = [row for row in rows if row in before.accuracy and row in after.accuracy]
        unchanged: dict[tuple[str, str], float] = {}
        for row in common:
            first, second = before.predictions[row], after.predictions[row]
            counts |= {(row, c): v for c, v in _counts(first, second).items()}
            tests = {(row, c): p for c, p in _p_values(first, second).items()}
            # A row that reads every face as before is no test: counting it would hide the others.
            if _equal(first, second):
                unchanged |= dict.fromkeys(tests, 1.0)
            else:
                p_values |= tests
        p_values = {**_adjusted(p_values), **unchanged}

    def cell(row: str, column: str) -> Cell:
        only_before, only_after = counts.get((row, column), (None, None))
        return Cell(
            before=before.accuracy.get(row, {}).get(column),
            after=after.accuracy.get(row, {}).get(column),
            p_value=p_values.get((row, column)),
            only_before=only_before,
            only_after=only_after,
        )

    return {
        row: {
            column: cell(row, column)
            for column in {**before.accuracy.get(row, {}), **after.accuracy.get(row, {})}
        }
        for row in rows
    }


def _equal(before: PredictionTable, after: PredictionTable) -> bool:
    return set(before.predicted) == set(after.predicted) and all(
        np.array_equal(values, after.predicted[column])
        for column, values in before.predicted.items()
    )


def _counts(before: PredictionTable, after: PredictionTable) -> dict[str, tuple[int, int]]:
    return {
        column: discordant(before.labels, before.predicted[column], after.predicted[column])
        for column in before.predicted
        if column in after.predicted
    }


def _p_values(before: PredictionTable, after: PredictionTable) -> dict[str, float]:
    """At each common size, and for the mean if both mean the same scales."""
    common = {
        column: (before.predicted[column], after.predicted[column])
        for column in before.predicted
        if column in after.predicted
    }
    if set(before.predicted) == set(after.predicted):
        scales = [column for column in before.predicted if column != HR]
        common[MEAN] = (
            np.stack([before.predicted[column] for column in scales]),
            np.stack([after.predicted[column] for column in scales]),
        )
    return {column: paired_test(before.labels, *pair) for column, pair in common.items()}


def _adjusted(p_values: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Holm's adjustment, the means being a family of their own: they repeat what the sizes say."""
    adjusted: dict[tuple[str, str], float] = {}
    for means in (False, True):
        family = [key for key in p_values if (key[1] == MEAN) is means]
        adjusted |= dict(zip(family, holm([p_values[key] for key in family]), strict=True))
    return adjusted


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Change]:
    for name in sorted({*before, *after}):
        first, second = before.get(name), after.get(name)
        same_data = isinstance(first, Data) and isinstance(second, Data) and first.md5 == second.md5
        if not same_data and not same(first, second):
            yield Change(name=name, before=first, after=second)


def _own_params(before: Results, after: Results) -> Iterable[Change]:
    foreign = {change.name for change in _foreign_params(before, after)}
    for change in _changes(flatten(before.params), flatten(after.params)):
        if change.name not in foreign:
            yield change


def _foreign_params(before: Results, after: Results) -> Iterable[Change]:
    for change in _changes(flatten(before.params), flatten(after.params)):
        own = f"profiles.{after.profile}."
        if change.name.startswith("profiles.") and not change.name.startswith(own):
            yield change
