"""What one revision says: accuracies, params, data, code, and the predictions behind it all."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from fsr_fer.errors import UserError
from fsr_fer.predictions import HR, PredictionTable, read_predictions
from fsr_fer.provenance.hashing import md5_of_bytes
from fsr_fer.review.revisions import Revision, flatten, same
from fsr_fer.review.storage import find
from fsr_fer.statistics import total_accuracy

MEAN = "mean"
"""Column of accuracy.json: the mean over the scales, full size left out."""

CODE = ("src/", "stages/")
RAW = "data/raw/"
_ROUNDED = 1e-3
"""accuracy.json holds percent with three decimals."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A file or folder that DVC tracks: its hash, size in bytes and number of files if known."""

    md5: str
    size: int | None
    num_files: int | None


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a revision says about a profile. Everything is read when it is first asked for."""

    revision: Revision
    profile: str

    @cached_property
    def params(self) -> dict[str, Any]:
        """All of params.yaml."""
        return self.revision.read_yaml("params.yaml")

    @cached_property
    def lock(self) -> dict[str, Any]:
        """The stages of dvc.lock, those left out that dvc.yaml no longer has."""
        nodes = self.revision.read_yaml("dvc.yaml").get("stages", {})
        recorded = self.revision.read_yaml("dvc.lock").get("stages", {})
        return {
            name: entry for name, entry in recorded.items() if _is_current(name, nodes, self.params)
        }

    @cached_property
    def accuracy(self) -> dict[str, dict[str, float]]:
        """Percent by row and column; nothing if this revision has no results of the profile.

        Raises:
            UserError: the file is damaged.
        """
        path = f"metrics/{self.profile}/accuracy.json"
        content = self.revision.read(path)
        if content is None:
            return {}
        try:
            table: dict[str, dict[str, float]] = json.loads(content)
            numbers = [value for row in table.values() for value in row.values()]
            whole = all(isinstance(number, (int, float)) for number in numbers)
        except (ValueError, AttributeError):
            whole = False
        if not whole:
            raise UserError(f"{path} of {self.revision.title} is damaged; `dvc repro` writes it")
        return table

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the profile, none if this revision does not know it."""
        dataset = self._profile_section("dataset")
        return tuple(dataset.get("class_names", ()))

    def _profile_section(self, name: str) -> Mapping[str, Any]:
        profile = self.params.get("profiles", {}).get(self.profile, {})
        section = profile.get(name, {}) if isinstance(profile, Mapping) else {}
        return section if isinstance(section, Mapping) else {}

    @cached_property
    def inputs(self) -> dict[str, str]:
        """md5 of each file of ours that the recorded stages ran."""
        return {
            entry["path"]: entry.get("md5", "")
            for stage in self.lock.values()
            for entry in stage.get("deps", [])
            if entry["path"].startswith(CODE)
        }

    @cached_property
    def data(self) -> dict[str, Data]:
        """Raw data: what .dvc files track, and the faces drawn for the profile."""
        found: dict[str, Data] = {}
        tracked = self.revision.read_all(self.revision.tracked_data())
        for path, content in tracked.items():
            for entry in _outs(content):
                found[str(PurePosixPath(path).parent / entry["path"])] = _data(entry)
        for stage in self.lock.values():
            for entry in [*stage.get("outs", []), *stage.get("deps", [])]:
                if entry["path"] == RAW + self.profile:
                    found.setdefault(entry["path"], _data(entry))
        return found

    def recorded(self, path: str) -> str | None:
        """The md5 that dvc.lock has for an output."""
        for stage in self.lock.values():
            for entry in stage.get("outs", []):
                if entry["path"] == path:
                    return str(entry.get("md5", "")) or None
        return None

    def content(self, path: str) -> bytes | None:
        """An output that DVC keeps: the file here in the workspace, else from cache or remote."""
        here = self.revision.read(path) if self.revision.commit is None else None
        if here is not None:
            return here
        md5 = self.recorded(path)
        return find(self.revision, path, md5) if md5 else None

    @cached_property
    def predictions(self) -> dict[str, PredictionTable]:
        """Predictions of each row of the table; a row is missing if nobody has them any more."""
        found = {}
        for row in self.accuracy:
            path = f"data/{self.profile}/predictions/{row}.csv"
            content = self.content(path)
            if content is not None:
                found[row] = _parsed(content, path, self)
        return found

    @cached_property
    def test_faces(self) -> tuple[tuple[str, str, str], ...] | None:
        """Id, label and hash of the pixels of each test face; None if nobody has them any more."""
        content = self.content(self.manifest)
        if content is None:
            return None
        rows = csv.DictReader(io.StringIO(content.decode("utf-8", "replace")))
        return tuple(
            (row.get("id", ""), row.get("label", ""), row.get("sha256", ""))
            for row in rows
            if row.get("split") == "test"
        )

    @property
    def manifest(self) -> str:
        """Path of the list of faces."""
        return f"data/{self.profile}/dataset/manifest.csv"

    def doubts(self) -> Iterator[str]:
        """Why the accuracies may not be what params and code of this revision give."""
        name = self.revision.title
        report = self.lock.get("report", {})
        if not report:
            yield f"{name}: dvc.lock has no results"
            return
        yield from self._stale_params(name, report)
        files = self.revision.read_all(self.inputs)
        md5s = {path: None if f is None else md5_of_bytes(f) for path, f in files.items()}
        changed = [
            path
            for stage in self.lock.values()
            for entry in stage.get("deps", [])
            if (path := entry["path"]) in md5s and md5s[path] != entry.get("md5")
        ]
        if changed := sorted(set(changed)):
            yield f"{name}: the results were made with other code ({_some(changed)})"
        for row, predictions in self.predictions.items():
            if wrong := _contradicted(self.accuracy[row], predictions):
                yield f"{name}: accuracy.json and the predictions of {row} differ at {_some(wrong)}"

    def _stale_params(self, name: str, report: Mapping[str, Any]) -> Iterator[str]:
        recorded = flatten(report.get("params", {}).get("params.yaml", {}))
        own = flatten(self.params)
        if not any(key.startswith(f"profiles.{self.profile}.") for key in recorded):
            yield f"{name}: dvc.lock is of another profile than {self.profile}"
            return
        changed = [key for key, value in recorded.items() if not same(own.get(key), value)]
        if changed:
            yield f"{name}: the results were made with other params ({_some(sorted(changed))})"


def _is_current(name: str, nodes: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether dvc.yaml still makes this stage: dvc.lock keeps those that a list once had."""
    stage, _, item = name.partition("@")
    node = nodes.get(stage)
    if not isinstance(node, Mapping):
        return False
    matrix = node.get("matrix", {})
    items = node.get("foreach", next(iter(matrix.values())) if len(matrix) == 1 else None)
    if isinstance(items, str):
        match = re.fullmatch(r"\$\{([\w.]+)\}", items)
        items = flatten(params).get(match[1]) if match else None
    return items is None or item in {str(value) for value in items}


def _outs(content: bytes | None) -> list[dict[str, Any]]:
    try:
        outs = yaml.safe_load(content or b"")["outs"]
        return [entry for entry in outs if isinstance(entry.get("path"), str)]
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        return []


def _data(entry: Mapping[str, Any]) -> Data:
    return Data(
        md5=str(entry.get("md5", "")), size=entry.get("size"), num_files=entry.get("nfiles")
    )


def _parsed(content: bytes, path: str, results: Results) -> PredictionTable:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(path).name
        file.write_bytes(content)
        try:
            return read_predictions(file, results.class_names)
        except UserError as error:
            said = str(error).removeprefix(str(file))
            raise UserError(f"{path} of {results.revision.title}{said}") from None


def _contradicted(row: Mapping[str, float], predictions: PredictionTable) -> list[str]:
    """The columns in which accuracy.json says something else than the predictions."""
    columns = dict(predictions.predicted)
    small = [values for column, values in columns.items() if column != HR]
    if small:
        columns[MEAN] = np.stack(small)
    return [
        column
        for column, value in row.items()
        if column not in columns
        or abs(total_accuracy(predictions.labels, columns[column]) - value) > _ROUNDED
    ]


def _some(names: list[str]) -> str:
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")
