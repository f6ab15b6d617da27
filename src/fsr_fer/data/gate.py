"""Great Expectations, kept in this one module: what it is asked, and what it answered.

It is imported when a check runs (that takes seconds), in the form that needs no project folder,
writes nothing and calls nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsr_fer.data.manifest import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

ROW = "row"
_POSITION = "position"


@dataclass(frozen=True, kw_only=True)
class Offender:
    """What failed a check: ``row`` of the manifest, or None where it is a group of faces."""

    row: int | None
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """One expectation, in words, and what broke it."""

    name: str
    expected: str
    offenders: tuple[Offender, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing broke it."""
        return not self.offenders


@dataclass(frozen=True)
class Expectation:
    """A check before it ran: its name, the words people read, and what is asked of a column."""

    name: str
    words: str
    column: str
    question: Any


def one_of(name: str, words: str, column: str, values: Sequence[object]) -> Expectation:
    """Each value is one of ``values``."""
    import great_expectations.expectations as gxe

    question = gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values))
    return Expectation(name, words, column, question)


def unique(name: str, words: str, column: str) -> Expectation:
    """No value occurs twice."""
    import great_expectations.expectations as gxe

    return Expectation(name, words, column, gxe.ExpectColumnValuesToBeUnique(column=column))


def at_least(name: str, words: str, column: str, lowest: float) -> Expectation:
    """Each value is ``lowest`` or more."""
    import great_expectations.expectations as gxe

    question = gxe.ExpectColumnValuesToBeBetween(column=column, min_value=lowest)
    return Expectation(name, words, column, question)


def without(name: str, words: str, column: str, mark: str) -> Expectation:
    """No value has ``mark`` in it; a value that is None is not asked."""
    import great_expectations.expectations as gxe

    question = gxe.ExpectColumnValuesToNotMatchRegex(column=column, regex=re.escape(mark))
    return Expectation(name, words, column, question)


def _columns(words: str) -> Expectation:
    import great_expectations.expectations as gxe

    question = gxe.ExpectTableColumnsToMatchSet(column_set=[ROW, *COLUMNS], exact_match=True)
    return Expectation("columns", words, "", question)


class Gate:
    """Great Expectations without a project, a network, a progress bar or a file."""

    def __init__(self, data_docs: Path | None) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self._gx = gx
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = self._context.data_sources.add_pandas("faces")
        self._actions: list[Any] = []
        if data_docs is not None:
            self._context.add_data_docs_site(
                site_name="docs",
                site_config={
                    "class_name": "SiteBuilder",
                    "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                    "store_backend": {
                        "class_name": "TupleFilesystemStoreBackend",
                        "base_directory": str(data_docs.resolve()),
                    },
                },
            )
            update = gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["docs"])
            self._actions.append(update)

    def columns(self, frame: pd.DataFrame) -> Check:
        """Whether the manifest has its columns and no others."""
        words = f"The manifest has the columns {', '.join(COLUMNS)}."
        (result,) = self._run("columns", frame, [_columns(words)])
        mismatch = result["result"].get("details", {}).get("mismatched", {})
        offenders = [
            Offender(row=None, name=column, value=kind)
            for kind in ("missing", "unexpected")
            for column in mismatch.get(kind, [])
        ]
        return Check(name="columns", expected=words, offenders=tuple(offenders))

    def rows(
        self, name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]
    ) -> list[Check]:
        """Checks of single rows of ``frame``, which has a column ``id`` to call them by."""
        results = self._run(name, frame, expectations)
        checks = []
        for expectation, result in zip(expectations, results, strict=True):
            offenders = []
            for index in result["result"].get("unexpected_index_list") or []:
                position = int(index[_POSITION])
                offenders.append(
                    Offender(
                        row=position if ROW in frame else None,
                        name=str(frame["id"].iloc[position]),
                        value=_shown(frame[expectation.column].iloc[position]),
                    )
                )
            if result["success"] == bool(offenders):
                raise RuntimeError(f"{expectation.name}: verdict and offenders disagree: {result}")
            checks.append(
                Check(
                    name=expectation.name,
                    expected=expectation.words,
                    offenders=tuple(offenders),
                )
            )
        return checks

    def _run(
        self, name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]
    ) -> list[dict[str, Any]]:
        """Results in the order of ``expectations``."""
        gx = self._gx
        suite = gx.ExpectationSuite(name=name)
        for number, expectation in enumerate(expectations):
            expectation.question.meta = {"number": number}
            suite.add_expectation(expectation.question)
        asset = self._source.add_dataframe_asset(name)
        definition = gx.ValidationDefinition(
            name=name,
            data=asset.add_batch_definition_whole_dataframe(name),
            suite=self._context.suites.add(suite),
        )
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[self._context.validation_definitions.add(definition)],
            actions=self._actions,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [_POSITION],
            },
        )
        positioned = (
            frame if name == "columns" else frame.assign(**{_POSITION: np.arange(len(frame))})
        )
        outcome = self._context.checkpoints.add(checkpoint).run(
            batch_parameters={"dataframe": positioned}
        )
        (validation,) = outcome.run_results.values()
        results: list[dict[str, Any]] = [result.to_json_dict() for result in validation.results]
        for result in results:
            if error := _exception(result["exception_info"]):
                raise RuntimeError(f"Great Expectations could not run a check: {error}")
        return sorted(results, key=lambda result: result["expectation_config"]["meta"]["number"])


def _exception(info: dict[str, Any]) -> str | None:
    """The message of an exception in a result; there may be one per metric or one for all."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((e["exception_message"] for e in entries if e.get("raised_exception")), None)


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
