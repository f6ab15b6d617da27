"""dvc.lock against everything it speaks of: itself, dvc.yaml, params, files, .dvc files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fsr_fer.git import read_blobs
from fsr_fer.provenance.cache import cached_object
from fsr_fer.provenance.hash_cache import WorkspaceHashes
from fsr_fer.provenance.hashing import Content, md5_of_bytes
from fsr_fer.provenance.lineage import Lineage
from fsr_fer.provenance.pipeline import (
    LOCK_FILE,
    MISSING,
    PIPELINE_FILE,
    Definition,
    Entry,
    Run,
    Snapshot,
    holds,
)

SHOWN = 4
"""How many names a finding lists at most."""


@dataclass(frozen=True)
class Finding:
    """One difference: what kind, where, which stages it concerns, what it means."""

    kind: str
    where: str
    message: str
    stages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def short(md5: str) -> str:
    """An MD5 as people compare it."""
    return md5[:8]


def some(names: Iterable[str]) -> str:
    """A list that stays readable."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def code_file(path: str) -> bool:
    """Whether a dep is code of the project, not data."""
    return path.startswith(("src/", "stages/", "studies/"))


def check_lock(lineage: Lineage, names: Iterable[str]) -> list[Finding]:
    """dvc.lock of one snapshot against the same snapshot's dvc.yaml and params, and in itself."""
    snapshot, names = lineage.snapshot, list(names)
    if snapshot.lock_missing:
        return [Finding("lock", LOCK_FILE, "is not here; nothing has run yet: `dvc repro`")]
    found: list[Finding] = []
    for name in names:
        run = snapshot.runs.get(name)
        if run is None:
            text = f"has no entry for {name}: it has not run, or the entry was removed"
            found.append(Finding("lock", LOCK_FILE, text, (name,)))
            continue
        found += _form(run)
        found += _definition(lineage.stages[name], run, "")
    found += _params(snapshot, lineage, names, snapshot)
    found += _one_hash_per_path(snapshot, names)
    return found


def check_workspace(
    lineage: Lineage, names: Iterable[str], hashes: WorkspaceHashes, workspace: Lineage
) -> list[Finding]:
    """What dvc.lock of ``lineage`` says against the files, params and commands of the workspace."""
    names = list(names)
    found = []
    if lineage.snapshot.revision is not None:
        for name in names:
            run = lineage.snapshot.runs.get(name)
            if name not in workspace.stages:
                text = f"the workspace has no stage {name}"
                found.append(Finding("command", PIPELINE_FILE, text, (name,)))
            elif run:
                found += _definition(workspace.stages[name], run, " in the workspace")
        found += _params(lineage.snapshot, lineage, names, workspace.snapshot)
    found += _files(lineage.snapshot, names, hashes)
    found += _sources(workspace, lineage, names, hashes)
    return found


def check_raw(lineage: Lineage, path: str, hashes: WorkspaceHashes) -> list[Finding]:
    """Raw data, which no stage writes, against its .dvc file and the stages that read it."""
    source = lineage.snapshot.source(path)
    content = hashes.content(path)
    if source and source.path == path and not _fits(source, content):
        text = (
            source.problem or "is not the data that its .dvc file names; changed after the import"
        )
        return [Finding("source", path, text)]
    readers = [
        name
        for name in lineage.stages
        if name in lineage.snapshot.runs
        and any(
            dep.path == path and not _fits(dep, content) for dep in lineage.snapshot.runs[name].deps
        )
    ]
    if not readers:
        return []
    return [Finding("content", path, f"changed since {some(readers)} read it", tuple(readers))]


def check_committed(lineage: Lineage, names: Iterable[str]) -> list[Finding]:
    """For a revision: the files that its commit holds against its own dvc.lock."""
    snapshot = lineage.snapshot
    expected = _expected(snapshot, names)
    paths = [path for path in expected if not path.endswith("/")]
    blobs = read_blobs(snapshot.root, str(snapshot.revision), paths)
    found = []
    for path, blob in blobs.items():
        if blob is None:  # in DVC's cache, not in Git
            continue
        md5 = md5_of_bytes(blob)
        if md5 not in {entry.md5 for entry, _, _ in expected[path]}:
            entry, wrote, _ = expected[path][0]
            text = (
                f"committed with {short(md5)}, but dvc.lock of the same commit has "
                f"{short(entry.md5)}: {'edited after' if wrote else 'changed since'} the run"
            )
            found.append(Finding("content", path, text, tuple(n for _, _, n in expected[path])))
    return found


def _form(run: Run) -> Iterator[Finding]:
    for kind, entries in (("deps", run.deps), ("outs", run.outs)):
        for entry in entries:
            if entry.problem:
                text = f"{run.name} {kind} {entry.path}: {entry.problem}"
                yield Finding("lock", LOCK_FILE, text, (run.name,))


def _definition(stage: Definition, run: Run, where: str) -> Iterator[Finding]:
    if stage.cmd != run.cmd:
        text = f"command of {run.name}{where} is `{stage.cmd}`; it ran as `{run.cmd}`"
        yield Finding("command", PIPELINE_FILE, text, (run.name,))
    declared: list[tuple[str, set[str], set[str]]] = [
        ("deps", set(stage.deps), {entry.path for entry in run.deps}),
        ("outs", set(stage.outs), {entry.path for entry in run.outs}),
    ]
    for file in {**stage.params, **run.params}:
        if file not in stage.params or stage.params[file]:  # none named: the whole file is read
            keys = set(stage.params.get(file, ()))
            declared.append(("params", keys, set(run.params.get(file, {}))))
    for kind, now, then in declared:
        for path in sorted(now - then):
            text = f"{run.name} has {path} among its {kind}{where}; dvc.lock does not"
            yield Finding("declared", PIPELINE_FILE, text, (run.name,))
        for path in sorted(then - now):
            text = f"{run.name} no more has {path} among its {kind}{where}; dvc.lock does"
            yield Finding("declared", PIPELINE_FILE, text, (run.name,))


def _params(
    then: Snapshot, lineage: Lineage, names: Iterable[str], now: Snapshot
) -> Iterator[Finding]:
    """Values that runs read against those in the params files of ``now``, one finding a value."""
    differing: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for name in names:
        run = then.runs.get(name)
        for file, values in run.params.items() if run else ():
            for key, value in values.items():
                current = now.param(file, key)
                for leaf, before, after in value_changes(key, value, current):
                    differing[file, leaf, _shown(before), _shown(after)].append(name)
    for (file, leaf, before, after), stages in differing.items():
        text = f"{leaf} is {after}; {some(stages)} ran with {before}"
        yield Finding("params", file, text, tuple(stages))


def value_changes(key: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Single values below ``key`` that differ, with both; ``MISSING`` where there is none."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {**before, **after}:
            yield from value_changes(
                f"{key}.{name}", before.get(name, MISSING), after.get(name, MISSING)
            )
    # True == 1 in Python, and is not the same param.
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield key, before, after


def _shown(value: Any) -> str:
    return "not there" if value is MISSING else json.dumps(value)


def _expected(snapshot: Snapshot, names: Iterable[str]) -> dict[str, list[tuple[Entry, bool, str]]]:
    """By path: what dvc.lock expects there, whether as an output, of which stage."""
    expected: dict[str, list[tuple[Entry, bool, str]]] = defaultdict(list)
    for name in names:
        if run := snapshot.runs.get(name):
            for out in run.outs:
                expected[out.path].append((out, True, name))
            for dep in run.deps:
                expected[dep.path].append((dep, False, name))
    for uses in expected.values():
        uses.sort(key=lambda use: not use[1])  # who wrote it comes first
    return expected


def _one_hash_per_path(snapshot: Snapshot, names: Iterable[str]) -> Iterator[Finding]:
    """A path has one hash in the whole of dvc.lock: what one stage wrote is what others read."""
    for path, uses in _expected(snapshot, names).items():
        by_md5: dict[str, list[str]] = defaultdict(list)
        for entry, wrote, name in uses:
            by_md5[entry.md5].append(f"{name} {'wrote' if wrote else 'read'}")
        if len(by_md5) > 1:
            said = "; ".join(f"{some(who)} {short(md5)}" for md5, who in by_md5.items())
            text = f"{path} has several hashes: {said}: stages ran on different versions, or edited"
            yield Finding("lock", LOCK_FILE, text, tuple(dict.fromkeys(n for _, _, n in uses)))
        sizes = {(e.size, e.nfiles) for e, _, _ in uses}
        if len(by_md5) == 1 and len(sizes) > 1:
            text = f"{path} has one hash but several sizes: edited"
            yield Finding("lock", LOCK_FILE, text, tuple(dict.fromkeys(n for _, _, n in uses)))


def _files(snapshot: Snapshot, names: Iterable[str], hashes: WorkspaceHashes) -> Iterator[Finding]:
    """Files and folders against dvc.lock, one finding a path."""
    for path, uses in _expected(snapshot, names).items():
        content = hashes.content(path)
        differing = [use for use in uses if not _fits(use[0], content)]
        if not differing:
            continue
        entry, wrote, _ = differing[0]
        stages = tuple(dict.fromkeys(name for _, _, name in differing))
        kind = "code" if code_file(path) else "content"
        if content is None:
            text = "is not here; `dvc checkout` or `dvc pull` brings it back"
            if kind == "code":
                text = "is not here any more"
        elif content.md5 == entry.md5:
            text = (
                f"has the hash of dvc.lock but {_measure(content)}, dvc.lock says "
                f"{_measure(Content(entry.md5, entry.size or 0, entry.nfiles))}: it was edited"
            )
        else:
            writer = uses[0][2] if wrote else ""
            readers = [name for name in stages if name != writer]
            text = f"changed since {some(readers)} read it" if readers else "changed"
            text = f"is not what {writer} wrote" if writer else text
            text += f": {short(content.md5)} here, {short(entry.md5)} in dvc.lock"
            if changed := _changed_in(snapshot, path, entry, hashes):
                text += f"; in it: {some(changed)}"
        yield Finding(kind, path, text, stages)


def _fits(entry: Entry, content: Content | None) -> bool:
    if content is None or content.md5 != entry.md5:
        return False
    return entry.size in (None, content.size) and entry.nfiles in (None, content.nfiles)


def _measure(content: Content) -> str:
    files = "" if content.nfiles is None else f" in {content.nfiles} files"
    return f"{content.size} bytes{files}"


def _changed_in(snapshot: Snapshot, path: str, entry: Entry, hashes: WorkspaceHashes) -> list[str]:
    """Which files of a folder differ, where DVC's cache has its listing."""
    listing = cached_object(snapshot.root, entry.md5) if entry.md5.endswith(".dir") else None
    if listing is None:
        return []
    then = {file["relpath"]: file["md5"] for file in json.loads(listing)}
    now = hashes.files(path)
    return [
        file
        if file in now and file in then
        else f"{file} ({'added' if file in now else 'removed'})"
        for file in sorted({**then, **now})
        if then.get(file) != now.get(file)
    ]


def _sources(
    workspace: Lineage, lineage: Lineage, names: Iterable[str], hashes: WorkspaceHashes
) -> Iterator[Finding]:
    """Imported data: its .dvc file against dvc.lock and against the data itself."""
    seen = set()
    for path, uses in _expected(lineage.snapshot, names).items():
        if lineage.writers(path) or path in seen:
            continue
        seen.add(path)
        source = workspace.snapshot.source(path)
        if source is None:
            continue
        file = f"{source.path}.dvc"
        stages = tuple(name for _, _, name in uses)
        if source.problem:
            yield Finding("source", file, source.problem, stages)
            continue
        entry = uses[0][0]
        if source.path == path and source.md5 != entry.md5:
            text = (
                f"has {short(source.md5)}, dvc.lock {short(entry.md5)}: {some(stages)} ran on "
                "other data than is imported now"
            )
            yield Finding("source", file, text, stages)
        if not _fits(source, hashes.content(source.path)):
            text = "is not the data that its .dvc file names; changed after the import"
            if not holds(path, source.path):
                yield Finding("source", source.path, text, stages)
            elif source.path == path and source.md5 == entry.md5 and source.size != entry.size:
                yield Finding("source", file, "has another size than the data: edited", stages)
