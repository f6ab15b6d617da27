"""dvc.yaml, dvc.lock and params.yaml as they are now or were at a revision, without DVC itself.

DVC needs a second to start; its files are documented YAML. Stage definitions are resolved here
(foreach, matrix, ``${...}``), so that an entry of dvc.lock can be held against what dvc.yaml says.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from fsr_fer.errors import UserError
from fsr_fer.git import experiments, git_bytes, git_line
from fsr_fer.yaml12 import load_yaml

PIPELINE_FILE = "dvc.yaml"
LOCK_FILE = "dvc.lock"
PARAMS_FILE = "params.yaml"
FURTHER_FILES = {"studies/dvc.yaml": "studies/dvc.lock"}
"""Pipelines beside the main one: they read its results, and need not have run."""
MISSING = object()
"""Stands for a param that is not there."""


@dataclass(frozen=True)
class Entry:
    """A dep or an out in dvc.lock."""

    path: str
    md5: str
    size: int | None = None
    nfiles: int | None = None
    problem: str = ""
    """What is wrong with the entry itself."""


@dataclass(frozen=True)
class Definition:
    """A stage as dvc.yaml defines it, every template filled in."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: Mapping[str, tuple[str, ...]]
    """Dotted keys by file; none = the whole file."""
    description: str = ""
    further: bool = False
    """Whether it is of a pipeline beside the main one."""


@dataclass(frozen=True)
class Run:
    """A stage as dvc.lock remembers its last run."""

    name: str
    cmd: str
    deps: tuple[Entry, ...]
    outs: tuple[Entry, ...]
    params: Mapping[str, Mapping[str, Any]]
    """Values by file and dotted key."""
    raw: Mapping[str, Any]


class Snapshot:
    """The pipeline's files in the workspace (``revision`` None) or in a commit."""

    def __init__(self, root: Path, revision: str | None = None) -> None:
        self.root = root
        self.revision = revision
        self._yaml: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> bytes | None:
        """Bytes of a file; None if it is not there (in a commit: not in Git)."""
        if self.revision is None:
            try:
                return (self.root / path).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        return git_bytes(self.root, "show", f"{self.revision}:{path}")

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML file that holds a mapping; an empty one if it is not there.

        Raises:
            UserError: it is no YAML or no mapping.
        """
        if path not in self._yaml:
            where = path if self.revision is None else f"{path} at {self.revision[:10]}"
            content = self.read(path)
            try:
                values = {} if content is None else load_yaml(content) or {}
            except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
                message = f"{where} cannot be read: {' '.join(str(error).split())}"
                raise UserError(message) from None
            if not isinstance(values, dict):
                raise UserError(f"{where} holds no keys")
            self._yaml[path] = values
        return self._yaml[path]

    def param(self, file: str, key: str) -> Any:
        """The value of a dotted key; ``MISSING`` if it has none."""
        return lookup(self.yaml(file), key)

    @cached_property
    def profile(self) -> str:
        """The selected profile."""
        return str(self.yaml(PARAMS_FILE).get("profile", ""))

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """All stages of dvc.yaml, and of the pipelines beside it, by their full names.

        Raises:
            UserError: dvc.yaml is missing or one of them has a form that is not known here.
        """
        stages = self.yaml(PIPELINE_FILE).get("stages")
        if not isinstance(stages, Mapping) or not stages:
            at = "" if self.revision is None else f" at {self.revision[:10]}"
            raise UserError(f"{PIPELINE_FILE}{at} has no stages")
        context = dict(self.yaml(PARAMS_FILE))
        found: dict[str, Definition] = {}
        for file in (PIPELINE_FILE, *FURTHER_FILES):
            for name, node in (self.yaml(file).get("stages") or {}).items():
                try:
                    for definition in _expand(name, node, context, PurePosixPath(file).parent):
                        if definition.name in found:
                            raise ValueError("another pipeline has a stage of that name")
                        found[definition.name] = definition
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise UserError(
                        f"{file}: stage {name} has a form that is not understood ({error})"
                    ) from None
        return found

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The entries of dvc.lock by stage name, those of stages that are no more included.

        Raises:
            UserError: an entry is not of the form that DVC writes.
        """
        entries = {
            (file, name): raw
            for file in (LOCK_FILE, *FURTHER_FILES.values())
            for name, raw in (self.yaml(file).get("stages") or {}).items()
        }
        found = {}
        for (file, name), raw in entries.items():
            try:
                found[name] = Run(
                    name=name,
                    cmd=command_text(raw["cmd"]),
                    deps=tuple(map(_entry, raw.get("deps", []))),
                    outs=tuple(map(_entry, raw.get("outs", []))),
                    params={file: dict(v) for file, v in raw.get("params", {}).items()},
                    raw=raw,
                )
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise UserError(
                    f"{file}: the entry of {name} is not what DVC writes ({error!r}); "
                    f"`git checkout {file}`, then `dvc repro`"
                ) from None
        return found

    @cached_property
    def lock_missing(self) -> bool:
        """Whether there is no dvc.lock at all."""
        return self.read(LOCK_FILE) is None

    def source(self, path: str) -> Entry | None:
        """The .dvc file's entry for a path that no stage writes, if there is one."""
        for candidate in (path, *map(str, PurePosixPath(path).parents)):
            if candidate == "." or self.read(f"{candidate}.dvc") is None:
                continue
            try:
                raw = self.yaml(f"{candidate}.dvc")["outs"][0]
                entry = _entry(raw)
            except (KeyError, IndexError, TypeError):
                return Entry(candidate, "", problem=f"{candidate}.dvc is not what DVC writes")
            if PurePosixPath(candidate).name != entry.path:
                return Entry(candidate, "", problem=f"{candidate}.dvc speaks of {entry.path}")
            return Entry(candidate, entry.md5, entry.size, entry.nfiles, entry.problem)
        return None


def resolve_revision(root: Path, name: str) -> str:
    """The commit behind a revision of Git or the name of a DVC experiment.

    Raises:
        UserError: there is none, or the experiment's name is not unique.
    """
    if commit := git_line(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
        return commit
    found = set(experiments(root, name).values())
    if len(found) > 1:
        raise UserError(f"{len(found)} experiments are called {name}; give one's commit instead")
    if not found:
        raise UserError(f"{name!r} is neither a Git revision nor an experiment (`dvc exp list -A`)")
    return found.pop()


def command_text(cmd: str | list[str]) -> str:
    """A command; several of them one per line."""
    return cmd if isinstance(cmd, str) else "\n".join(cmd)


def lookup(values: Any, key: str) -> Any:
    """The value of a dotted key (list positions are numbers); ``MISSING`` if it has none."""
    for part in (part for part in key.split(".") if part):
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            return MISSING
    return values


def holds(folder: str, path: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it."""
    return path == folder or path.startswith(folder + "/")


def overlap(one: str, other: str) -> bool:
    """Whether one of two paths holds the other."""
    return holds(one, other) or holds(other, one)


def _entry(raw: Mapping[str, Any]) -> Entry:
    problem = ""
    if raw.get("hash", "md5") != "md5":
        problem = f"its hash is {raw['hash']!r}; expected md5"
    elif "hash" not in raw:
        problem = "it has no `hash: md5`: written by DVC 2 or edited"
    md5 = str(raw["md5"])
    if not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", md5):
        problem = f"{md5!r} is no MD5"
    return Entry(str(raw["path"]), md5, raw.get("size"), raw.get("nfiles"), problem)


def _expand(
    name: str, node: Mapping[str, Any], context: Mapping[str, Any], folder: PurePosixPath
) -> Iterator[Definition]:
    if "foreach" in node:
        choices = _fill_value(node["foreach"], context)
        named: list[tuple[str, dict[str, Any]]]
        if isinstance(choices, Mapping):
            named = [(str(k), {"key": k, "item": v}) for k, v in choices.items()]
        else:
            named = [
                (str(i) if isinstance(v, Mapping | list) else _text(v), {"key": i, "item": v})
                for i, v in enumerate(choices)
            ]
        for suffix, extra in named:
            yield _definition(f"{name}@{suffix}", node["do"], {**context, **extra}, folder)
    elif "matrix" in node:
        variables = {key: _fill_value(values, context) for key, values in node["matrix"].items()}
        numbered = [list(enumerate(values)) for values in variables.values()]
        for chosen in itertools.product(*numbered):
            item = {key: value for key, (_, value) in zip(variables, chosen, strict=True)}
            suffix = "-".join(
                f"{key}{i}" if isinstance(value, Mapping | list) else _text(value)
                for key, (i, value) in zip(variables, chosen, strict=True)
            )
            values = {**context, "item": item, "key": suffix}
            yield _definition(f"{name}@{suffix}", node, values, folder)
    else:
        yield _definition(name, node, context, folder)


def _definition(
    name: str, body: Mapping[str, Any], context: Mapping[str, Any], folder: PurePosixPath
) -> Definition:
    if posixpath.normpath(folder / body.get("wdir", ".")) != ".":
        raise ValueError("a stage has to run in the project's top folder")

    def paths(*kinds: str) -> tuple[str, ...]:
        entries = [entry for kind in kinds for entry in body.get(kind, [])]
        plain = (next(iter(e)) if isinstance(e, Mapping) else e for e in entries)
        return tuple(PurePosixPath(_fill(path, context)).as_posix() for path in plain)

    params: dict[str, tuple[str, ...]] = {}
    for entry in body.get("params", []):
        by_file = entry if isinstance(entry, Mapping) else {PARAMS_FILE: [entry]}
        for file, keys in by_file.items():
            filled = tuple(_fill(key, context) for key in keys or ())
            path = _fill(file, context)
            params[path] = (*params.get(path, ()), *filled)
    return Definition(
        name=name,
        cmd=_fill(command_text(body["cmd"]), context),
        deps=paths("deps"),
        outs=paths("outs", "metrics", "plots"),
        params=params,
        description=" ".join(_fill(body.get("desc", ""), context).split()),
        further=str(folder) != ".",
    )


def _fill_value(value: Any, context: Mapping[str, Any]) -> Any:
    """A value with the templates in its strings filled in.

    A string that is nothing but a template becomes what it stands for, whatever that is.
    """
    if isinstance(value, Mapping):
        return {key: _fill_value(inner, context) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill_value(inner, context) for inner in value]
    if isinstance(value, str) and (whole := re.fullmatch(r"\$\{([^}]+)\}", value.strip())):
        return _value_of(whole[1], context)
    return _fill(value, context) if isinstance(value, str) else value


def _fill(template: str, context: Mapping[str, Any]) -> str:
    for _ in range(2):  # an item's value may hold ${profile} itself
        template = re.sub(
            r"\$\{([^}]+)\}", lambda match: _text(_value_of(match[1], context)), template
        )
    return template


def _value_of(key: str, context: Mapping[str, Any]) -> Any:
    value = lookup(context, re.sub(r"\[(\w+)\]", r".\1", key.strip()))
    if value is MISSING:
        raise ValueError(f"${{{key}}} stands for nothing")
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
