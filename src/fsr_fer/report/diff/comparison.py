"""Two revisions side by side: accuracies, and causes and noise of differences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fsr_fer.evaluation.predictions import HR, MEAN, by_size
from fsr_fer.evaluation.statistics import (
    discordant,
    holm,
    mcnemar_exact,
    sign_flip,
    times_correct,
    total_accuracy,
)
from fsr_fer.pipeline.profiles import flat
from fsr_fer.report.diff.results import Results


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A method at one size, before and after, in percent; None where a revision lacks it.

    ``p_value`` is adjusted by Holm's method. ``only_before`` and ``only_after`` are numbers of
    faces that one revision alone predicts right; None for the mean.
    """

    before: float | None = None
    after: float | None = None
    difference: float | None = None  # after minus before, points
    p_value: float | None = None
    only_before: int | None = None
    only_after: int | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that two revisions have in different form; None where one lacks it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that the review reports. ``level``: a p-value below it is more than noise."""

    before: str
    after: str
    profile: str
    level: float
    faces: int
    table: Mapping[str, Mapping[str, Cell]]
    params: tuple[Change, ...]  # without those of other profiles
    data: tuple[Change, ...]
    code: tuple[Change, ...]
    untested: str | None  # why the differences could not be tested, None if they were
    doubts: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Full size, the scales by factor, the mean: those that any method has."""
        return by_size({column for cells in self.table.values() for column in cells})

    def is_clear(self, cell: Cell) -> bool:
        """Whether the difference is more than noise."""
        return cell.p_value is not None and cell.p_value < self.level


def compare(before: Results, after: Results) -> Comparison:
    """Compare two revisions' results of one profile."""
    untested = _obstacle(before, after)
    params = _changes(flat(before.params), flat(after.params))
    own = tuple(f"profiles.{name}." for name in (*before.profiles, *after.profiles))
    return Comparison(
        before=before.revision.title,
        after=after.revision.title,
        profile=after.profile,
        level=round(1 - after.values.get("report", {}).get("confidence", 0.95), 10),
        faces=len(after.test_faces or ()),
        table=_table(before, after, {} if untested else _tests(before, after)),
        params=tuple(c for c in params if c.name.startswith(own) or "profiles." not in c.name),
        data=tuple(_changes(before.data, after.data)),
        code=tuple(_changes(before.code, after.code)),
        untested=untested,
        doubts=(*before.doubts(), *after.doubts()),
    )


def _obstacle(before: Results, after: Results) -> str | None:
    """Why nothing can be tested face by face, or None."""
    for results in (before, after):
        title = results.revision.title
        if not results.accuracy:
            return f"{title} has no results of profile {results.profile}"
        if results.test_faces is None or results.predictions.keys() != results.accuracy.keys():
            return (
                f"predictions or faces of {title} are not in DVC's cache; `dvc fetch -A` brings "
                "them, where there is a remote"
            )
        faces = [(face, label) for face, label, _ in results.test_faces]
        for name, table in results.predictions.items():  # `git checkout` changes Git's files alone
            labels = [table.class_names[label] for label in table.labels]
            if list(zip(table.ids, labels, strict=True)) != faces:
                return f"predictions of {name} in {title} are of other faces; `dvc checkout`"
            for column, predicted in table.predicted.items():
                share = round(total_accuracy(table.labels, predicted), 3)
                if results.accuracy[name].get(column, share) != share:
                    return f"predictions of {name} in {title} are of other results; `dvc checkout`"
    if before.class_names != after.class_names:
        return "the classes differ"
    if before.test_faces != after.test_faces:
        return "the test faces differ"
    return None


def _table(
    before: Results, after: Results, tests: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, dict[str, Cell]]:
    table: dict[str, dict[str, Cell]] = {}
    names = {**before.accuracy, **after.accuracy}
    for name in sorted(names, key=[*after.values.get("methods", {}), *names].index):
        first, second = before.accuracy.get(name, {}), after.accuracy.get(name, {})
        other_scales = first.keys() != second.keys()
        table[name] = {}
        for column in {**first, **second}:
            old, new = first.get(column), second.get(column)
            points = None
            if old is not None and new is not None and not (column == MEAN and other_scales):
                points = round(new - old, 3) + 0.0  # no -0.0
            test = tests.get((name, column), {})
            table[name][column] = Cell(before=old, after=new, difference=points, **test)
    return table


def _tests(before: Results, after: Results) -> dict[tuple[str, str], dict[str, Any]]:
    """Counts and adjusted p-values of each common method and size, and of the means.

    The means are a family of their own for Holm's method: they repeat what the sizes say.
    """
    tests: dict[tuple[str, str], dict[str, Any]] = {}
    sizes: dict[tuple[str, str], float] = {}
    means: dict[tuple[str, str], float] = {}
    for name, first in before.predictions.items():
        if name not in after.predictions:
            continue
        second = after.predictions[name]
        both = [column for column in first.predicted if column in second.predicted]
        pairs = {column: (first.predicted[column], second.predicted[column]) for column in both}
        # A method that predicts all as before is no test: it would hide the others.
        same = all(np.array_equal(*pair) for pair in pairs.values())
        for column, pair in pairs.items():
            old, new = discordant(first.labels, *pair)
            tests[name, column] = {"p_value": 1.0, "only_before": old, "only_after": new}
            if not same:
                sizes[name, column] = mcnemar_exact(old, new)
        if MEAN not in before.accuracy[name] or MEAN not in after.accuracy[name]:
            continue  # not at all scales
        if first.predicted.keys() != second.predicted.keys():
            continue  # means of other scales
        tests[name, MEAN] = {"p_value": 1.0}
        if not same:
            # As McNemar's: what a face gained has either sign with equal chance.
            scales = [int(column.removeprefix("x")) for column in both if column != HR]
            right = [times_correct(t.labels, t.at(MEAN, scales)) for t in (first, second)]
            means[name, MEAN] = sign_flip(right[1] - right[0])
    for family in (sizes, means):
        for key, p_value in zip(family, holm(list(family.values())), strict=True):
            tests[key]["p_value"] = p_value
    return tests


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Change]:
    for name in sorted({*before, *after}):
        first, second = before.get(name), after.get(name)
        if first != second:
            yield Change(name=name, before=first, after=second)
