"""What one revision has of a profile: accuracies, params, data, code, and predictions."""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.settings import SettingsError
from fsr_fer.evaluation.imported import given_faces, imported_file
from fsr_fer.evaluation.predictions import Face, PredictionTable, parse_predictions
from fsr_fer.pipeline.code_fingerprint import fingerprints
from fsr_fer.pipeline.paths import CODE_FILE, PARAMS_FILE, SETTINGS_FILE, Paths
from fsr_fer.pipeline.profiles import BASE, effective_values, flat, profile_values
from fsr_fer.pipeline.provenance.hashing import md5_of_bytes
from fsr_fer.pipeline.provenance.revision import Revision, some


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a revision has of a profile, read when it is first asked for."""

    revision: Revision
    profile: str

    @property
    def _metrics(self) -> str:
        return (Paths(self.profile).metrics / "accuracy.json").as_posix()

    @cached_property
    def params(self) -> dict[str, Any]:
        return self.revision.values(PARAMS_FILE.name)

    @cached_property
    def code(self) -> dict[str, str]:
        """The fingerprint of each stage's code."""
        return self.revision.values(CODE_FILE.name)

    @cached_property
    def accuracy(self) -> dict[str, dict[str, float]]:
        """Percent by method and column, if there are results; UserError if damaged."""
        table = self.revision.values(self._metrics)
        rows = [row if isinstance(row, dict) else {"": None} for row in table.values()]
        numbers: list[Any] = [value for row in rows for value in row.values()]
        # True is no number.
        if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
            raise UserError(
                f"{self._metrics} of {self.revision.title} is damaged: a value in it is no "
                "number; `dvc repro` writes it"
            )
        return table

    @property
    def values(self) -> dict[str, Any]:
        """The profile's values, none if this revision does not know it."""
        try:
            return profile_values(self.params, self.profile)
        except (KeyError, SettingsError):
            return {}

    @property
    def profiles(self) -> list[str]:
        """The profile and those that it is based on."""
        names = [self.profile]
        sections = self.params.get("profiles", {})
        while (base := sections.get(names[-1], {}).get(BASE)) and base not in names:
            names.append(base)
        return names

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the profile, none if this revision does not know it."""
        return tuple(self.values.get("dataset", {}).get("class_names", ()))

    @cached_property
    def data(self) -> dict[str, str]:
        """Raw faces, imported predictions and imported weights, as dvc.lock has them."""
        return {
            dep["path"]: f"{dep.get('nfiles', 1):,} files, {dep.get('size', 0):,} bytes, "
            f"md5 {dep.get('md5', '')[:8]}"
            for stage in self.revision.lock.values()
            for dep in stage.get("deps", [])
            if dep["path"].startswith("data/raw/")
        }

    @cached_property
    def predictions(self) -> dict[str, PredictionTable]:
        """Predictions of each method; a method is missing if its file is not on this machine."""
        found = {}
        for method in self.accuracy:
            ours = Paths(self.profile).predictions(method)
            for path in (ours, imported_file(self.profile, method)):
                if content := self._output(path.as_posix()):
                    where = f"{path} of {self.revision.title}"
                    found[method] = parse_predictions(content, where, self.class_names)
                    break
        return found

    @cached_property
    def test_faces(self) -> list[Face] | None:
        """Each test face; None if the manifest is not on this machine."""
        path = Paths(self.profile).manifest.as_posix()
        content = self._output(path)
        try:
            return None if content is None else given_faces(content)
        except (UnicodeDecodeError, KeyError, csv.Error):
            raise UserError(
                f"{path} of {self.revision.title} is damaged: `dvc checkout {path}`"
            ) from None

    def _output(self, path: str) -> bytes | None:
        try:
            return self.revision.output(path)
        except UserError:
            return None

    def doubts(self) -> Iterator[str]:
        """Why the accuracies may not be those of this revision's params and code."""
        name, lock = self.revision.title, self.revision.lock
        if "report" not in lock:
            yield f"{name}: dvc.lock has no results"
            return
        settings = self.revision.values(SETTINGS_FILE.name)
        if self.revision.commit is None:  # a commit may be older than these files
            missing = {SETTINGS_FILE: settings, CODE_FILE: self.code}
            for file in (file for file, values in missing.items() if not values):
                yield f"{name}: {file} is not here; `dvc repro` writes it"
        if settings:
            if (other := settings.get("profile")) != self.profile:
                yield f"{name}: dvc.lock is of profile {other}, not {self.profile}"
                return
            if changed := sorted(self._other_params(settings)):
                yield f"{name}: the results were made with other params ({some(changed)})"
        if changed := sorted(self._other_code()):
            yield f"{name}: the results were made with other code of {some(changed)}"
        md5 = md5_of_bytes(self.revision.read(self._metrics) or b"")
        outs = {out["path"]: out["md5"] for out in lock["report"]["outs"]}
        if outs.get(self._metrics) != md5:
            yield f"{name}: {self._metrics} is not what dvc.lock says"

    def _other_params(self, settings: Mapping[str, Any]) -> set[str]:
        """Keys whose values the stages had otherwise than params.yaml has them."""
        try:
            wanted = flat(effective_values(self.params))
        except (SettingsError, KeyError):  # `fsr-fer check` says what is wrong with it
            return {PARAMS_FILE.name}
        found = flat(settings)
        for stage in self.revision.lock.values():
            found |= flat(stage.get("params", {}).get(SETTINGS_FILE.name, {}))
        return {key for key, value in wanted.items() if found.get(key) != value}

    def _other_code(self) -> set[str]:
        """Stages that ran other code than that of code.json or, in the workspace, of here."""
        other = set()
        for stage in self.revision.lock.values():
            ran = stage.get("params", {}).get(CODE_FILE.name, {})
            other |= {name for name, code in ran.items() if self.code.get(name, code) != code}
        if self.revision.commit is None and self.code:
            here = fingerprints()
            other |= {name for name in here if here[name] != self.code.get(name)}
        return other
