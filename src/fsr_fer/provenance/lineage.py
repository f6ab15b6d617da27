"""Which stages stand behind a thing, and which thing a user's words mean."""

from __future__ import annotations

import csv
import difflib
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from fsr_fer.errors import UserError
from fsr_fer.provenance.cache import cached_object
from fsr_fer.provenance.pipeline import MISSING, Snapshot, holds, lookup, overlap

SHOWN_NAMES = 8
"""How many names a message lists at most."""


class Lineage:
    """The graph of a snapshot's stages: edges as dvc.yaml has them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.stages = snapshot.definitions

    @cached_property
    def order(self) -> list[str]:
        """All stages, each after those whose outputs it reads.

        Raises:
            UserError: the stages of dvc.yaml form a circle.
        """
        done: dict[str, bool] = {}

        def visit(name: str) -> Iterator[str]:
            if name in done:
                if not done[name]:
                    raise UserError(f"dvc.yaml: {name} reads what it writes, directly or not")
                return
            done[name] = False
            for parent in self.parents(name):
                yield from visit(parent)
            done[name] = True
            yield name

        return [found for name in self.stages for found in visit(name)]

    def writers(self, path: str) -> list[str]:
        """Stages that write a path, something below it, or the folder it lies in."""
        if path not in self._writers:  # nearly every stage asks for the same modules
            self._writers[path] = [
                name
                for name, stage in self.stages.items()
                if any(overlap(out, path) for out in stage.outs)
            ]
        return self._writers[path]

    @cached_property
    def _writers(self) -> dict[str, list[str]]:
        return {}

    @cached_property
    def predictions(self) -> dict[str, str]:
        """The files that hold what each row read, by row."""
        outs = [out for stage in self.stages.values() for out in stage.outs]
        return {PurePosixPath(out).stem: out for out in outs if "/predictions/" in out}

    def parents(self, name: str) -> list[str]:
        """Stages whose outputs a stage reads, in the order of its deps."""
        return self._parents[name]

    @cached_property
    def _parents(self) -> dict[str, list[str]]:
        return {
            name: list(dict.fromkeys(w for dep in stage.deps for w in self.writers(dep)))
            for name, stage in self.stages.items()
        }

    def upstream(self, names: Iterable[str]) -> list[str]:
        """The stages and all behind them, the first to run first."""
        wanted: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += self.parents(name)
        return [name for name in self.order if name in wanted]


@dataclass(frozen=True)
class Target:
    """What a user points at."""

    label: str
    path: str | None
    """The file or folder it stands in; None for a stage."""
    stages: tuple[str, ...]
    """Who writes it; none for raw data."""
    value: Any = None
    row: tuple[str, ...] = ()
    """For a number of one row of the table: who writes the predictions that it is computed from."""


def find_target(lineage: Lineage, words: str, folder: Path) -> Target:
    """What ``words`` mean: a stage, a path (from ``folder``), a metric or a prediction.

    Raises:
        UserError: nothing that the pipeline knows; the message lists what is near.
    """
    # In turn: a stage may share its name with a metric that is not there yet.
    found = (
        _stage(lineage, words)
        or _path(lineage, words, folder)
        or _keyed_file(lineage, words)
        or _prediction(lineage, words)
        or _metric(lineage, words)
    )
    if found:
        return found
    outs = [out for stage in lineage.stages.values() for out in stage.outs]
    names = [PurePosixPath(out).stem for out in outs if out.endswith(".json")]
    near = difflib.get_close_matches(words.partition(".")[0], names, n=2, cutoff=0.5)
    near += difflib.get_close_matches(words, [*outs, *lineage.stages], n=2, cutoff=0.5)
    hint = f"; near: {', '.join(near)}" if near else ""
    raise UserError(
        f"{words!r} is neither a metric (accuracy.fsr_plain.x8), an output, an input, a stage nor "
        f"a prediction (predictions.ROW.FACE) of this pipeline{hint}"
    )


def _stage(lineage: Lineage, words: str) -> Target | None:
    names = tuple(n for n in lineage.stages if n == words or n.partition("@")[0] == words)
    return Target(words, None, names) if names else None


def _path(lineage: Lineage, words: str, folder: Path) -> Target | None:
    root = lineage.snapshot.root
    absolute = Path(os.path.normpath(folder / words))
    candidates = [PurePosixPath(os.path.normpath(words)).as_posix()]
    if absolute.is_relative_to(root):
        candidates.insert(0, absolute.relative_to(root).as_posix())
    for path in candidates:
        if writers := tuple(lineage.writers(path)):
            below = [out for n in writers for out in lineage.stages[n].outs if holds(out, path)]
            if below and path not in below and not _is_there(lineage.snapshot, path, below[0]):
                raise UserError(f"{path}: there is no such file in {below[0]}")
            return Target(path, path, writers)
        if any(holds(d, path) for stage in lineage.stages.values() for d in stage.deps):
            return Target(path, path, ())
        if lineage.snapshot.source(path):
            return Target(path, path, ())
    return None


def _is_there(snapshot: Snapshot, path: str, out: str) -> bool:
    """Whether a path below an output exists; at a revision, where only DVC may know, it may."""
    return snapshot.revision is not None or (snapshot.root / path).exists()


def _keyed_file(lineage: Lineage, words: str) -> Target | None:
    """``metrics/small/accuracy.json:fsr_plain.x8``, as DVC writes it."""
    path, colon, key = words.partition(":")
    if not colon or not lineage.writers(path):
        return None
    return _value_in(lineage, path, key, words)


def _metric(lineage: Lineage, words: str) -> Target | None:
    """``accuracy.fsr_plain.x8``: a JSON output of that name, and a key in it."""
    name, _, key = words.partition(".")
    outs = [out for stage in lineage.stages.values() for out in stage.outs]
    fitting = [out for out in outs if PurePosixPath(out).name == f"{name}.json"]
    if not fitting:
        return None
    if len(fitting) > 1:
        raise UserError(f"{name} may be any of {', '.join(fitting)}; write PATH:{key or 'KEY'}")
    return _value_in(lineage, fitting[0], key, words)


def _value_in(lineage: Lineage, path: str, key: str, words: str) -> Target:
    content = content_of(lineage.snapshot, path)
    if content is None:
        raise UserError(f"{path} is not here; `dvc repro` makes it, `dvc pull` fetches it")
    try:
        values = json.loads(content)
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error})") from None
    value = lookup(values, key)
    if value is MISSING:
        parts, known = key.split("."), values
        while parts and lookup(known, parts[0]) is not MISSING:
            known = lookup(known, parts.pop(0))
        names = list(known) if isinstance(known, dict) else []
        keys = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
        raise UserError(f"{path} has no {key}; instead of {'.'.join(parts)}: {keys or 'nothing'}")
    return Target(words, path, tuple(lineage.writers(path)), value, _row(lineage, path, key))


def _row(lineage: Lineage, path: str, key: str) -> tuple[str, ...]:
    """Who writes the predictions of the row that a key begins with, if there is such a row."""
    predictions = lineage.predictions.get(key.partition(".")[0])
    behind = lineage.upstream(lineage.writers(path))
    return tuple(n for n in lineage.writers(predictions) if n in behind) if predictions else ()


def _prediction(lineage: Lineage, words: str) -> Target | None:
    """``predictions.fsr_plain.test_00001.jpg``: a line of predictions/fsr_plain.csv."""
    kind, row, face = [*words.split(".", 2), "", ""][:3]
    if kind != "predictions":
        return None
    paths = lineage.predictions
    if row not in paths:
        raise UserError(f"no predictions of {row!r}; there are {', '.join(paths) or 'none'}")
    content = content_of(lineage.snapshot, paths[row])
    if content is None:
        raise UserError(f"{paths[row]} is not here; `dvc repro` or `dvc pull` brings it")
    lines = list(csv.DictReader(io.StringIO(content.decode("utf-8", "replace"))))
    for line in lines:
        if line.get("id") == face:
            return Target(words, paths[row], tuple(lineage.writers(paths[row])), line)
    example = f"; the first is {lines[0].get('id')}" if lines else ""
    raise UserError(f"{paths[row]} has no face {face!r}{example}")


def content_of(snapshot: Snapshot, path: str) -> bytes | None:
    """Bytes of an output: from the workspace, or for a revision from Git or DVC's cache."""
    content = snapshot.read(path)
    if content is None and snapshot.revision is not None:
        for run in snapshot.runs.values():
            for out in run.outs:
                if out.path == path:
                    return cached_object(snapshot.root, out.md5)
    return content
