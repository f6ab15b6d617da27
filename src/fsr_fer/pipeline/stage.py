"""One stage as it runs: the values it may read, the files it depends on and makes.

A stage reads settings.json, which the stage ``settings`` has written, and there only what its node
of dvc.yaml declares; so a value that changes a result cannot go untracked by DVC.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import read_json
from fsr_fer.common.settings import build
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.pipeline.code_fingerprint import fingerprint
from fsr_fer.pipeline.graph import graph_of
from fsr_fer.pipeline.paths import CODE_FILE, PARAMS_FILE, PIPELINE_FILE, SETTINGS_FILE, Paths
from fsr_fer.pipeline.profiles import effective_values, read_yaml
from fsr_fer.pipeline.provenance.hashing import hashes_of, run_key

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """One stage as it runs: what it may read, what it depends on, where its files lie."""

    name: str
    """As DVC writes it: ``fsr@plain``."""
    values: Mapping[str, Any]
    """Declared values of settings.json by dotted key."""
    deps: tuple[Path, ...]
    outs: tuple[Path, ...]
    profile: str
    code: str
    """The fingerprint of its code."""
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Size and modification time (ns) of each input file when the stage began."""

    @property
    def item(self) -> str:
        """Which one of its foreach or matrix it is; empty if it has none."""
        return self.name.partition("@")[2]

    @property
    def paths(self) -> Paths:
        return Paths(self.profile)

    @property
    def seed(self) -> int:
        """The seed that the random streams of trainings start from."""
        return int(self.value("seed"))

    @property
    def data_seed(self) -> int:
        """The seed of drawn faces and of the validation part."""
        return int(self.value("data_seed"))

    @property
    def scales(self) -> tuple[int, ...]:
        """Downsampling factors, in the order of params.yaml."""
        return tuple(self.value("scales"))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in label order."""
        return tuple(self.value("dataset.class_names"))

    @property
    def methods(self) -> dict[str, MethodSettings]:
        """The methods in the order of the tables, the baseline first."""
        names = self.value("method_names")
        return {name: self.settings(MethodSettings, f"methods.{name}") for name in names}

    def settings(self, kind: type[T], section: str | None = None) -> T:
        """The section that ``kind`` is named after, or ``section``; KeyError if not declared."""
        own = re.sub("([a-z])([A-Z])", r"\1_\2", kind.__name__.removesuffix("Settings")).lower()
        return build(kind, self.value(section or own), section or own)

    def value(self, key: str) -> Any:
        """A declared value, or one within a declared section; KeyError if it is not declared."""
        for declared, value in self.values.items():
            if key == declared:
                return value
            if key.startswith(declared + "."):
                return _lookup(value, key.removeprefix(declared + "."))
        raise KeyError(f"stage {self.name} reads {key}, which its params in dvc.yaml do not name")

    def require_unchanged(self) -> None:
        """UserError if inputs, values or code have changed since the stage began.

        DVC hashes them after it has ended, and would record changed ones for this result.
        """
        now = _stamps(self.deps)
        if changed := sorted(f for f in now.keys() | self.files if now.get(f) != self.files.get(f)):
            raise UserError(
                f"{changed[0]} has changed while {self.name} ran; `dvc repro` runs it again"
            )

    @cached_property
    def input_hashes(self) -> dict[str, str]:
        """MD5 of each dep, by path, as DVC hashes it; inputs may be large, so only once."""
        return hashes_of(self.deps)

    def fingerprint(self) -> str:
        """A key made of all that the result depends on: values, inputs, code.

        A checkpoint under it is found by runs alone that would give the same result.
        """
        return run_key(self.name, self.values, self.input_hashes, self.code)


def load_stage(name: str) -> Stage:
    """The stage of dvc.yaml with a name such as ``fsr@plain``; ``a@b`` may be called ``a_b`` there.

    UserError if there is none, or settings.json or code.json are not of the params and code here.
    """
    settings, params = read_json(SETTINGS_FILE), read_yaml(PARAMS_FILE)
    try:
        fits = settings == effective_values(params)
    except (AttributeError, KeyError, TypeError):  # the stage `settings` says what is wrong in it
        fits = False
    if not fits:
        raise UserError(f"{SETTINGS_FILE} is not of this {PARAMS_FILE}: `dvc repro settings`")
    graph = graph_of(Path())
    if name not in graph and (flat := name.replace("@", "_")) in graph:
        name = flat
    if name not in graph:
        kind = name.partition("@")[0]
        known = ", ".join(other for other in graph if other.startswith(kind))
        raise UserError(f"there is no stage {name}; known: {known}")
    node = graph[name]
    (script,) = node["code"]
    code = fingerprint(script)
    if read_json(CODE_FILE).get(script) != code:
        raise UserError(f"{CODE_FILE} is not of the code that lies here: `dvc repro code`")
    deps = tuple(map(Path, node["deps"]))
    try:
        values = {key: _lookup(settings, key) for key in node["settings"] or settings}
    except KeyError as error:
        raise UserError(
            f"{name} reads {error}, which {PARAMS_FILE} has no more; a method whose faces "
            f"are restored goes from the list of restore in {PIPELINE_FILE} as well"
        ) from None
    outs = tuple(map(Path, node["outs"]))
    return Stage(name, values, deps, outs, settings["profile"], code, _stamps(deps))


def _stamps(deps: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file that a stage reads, those in folders included."""
    found = {}
    for dep in (*deps, SETTINGS_FILE, CODE_FILE):
        for path in (dep, *dep.rglob("*")):
            if path.is_symlink() and not path.exists():
                path.stat()  # raises, and names it
            if path.is_file():
                found[str(path)] = path.stat().st_size, path.stat().st_mtime_ns
    return found


def _lookup(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values
