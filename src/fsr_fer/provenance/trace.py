"""The chain behind one number, figure or file, as data; ``rendering`` makes it readable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsr_fer.git import git_bytes, git_line
from fsr_fer.provenance.checks import (
    Finding,
    check_committed,
    check_lock,
    check_raw,
    check_workspace,
    code_file,
)
from fsr_fer.provenance.hash_cache import WorkspaceHashes
from fsr_fer.provenance.lineage import Lineage, Target, find_target
from fsr_fer.provenance.pipeline import (
    LOCK_FILE,
    MISSING,
    PARAMS_FILE,
    Entry,
    Run,
    Snapshot,
    resolve_revision,
)
from fsr_fer.provenance.witness import Witnesses


@dataclass(frozen=True)
class File:
    """An input or output of a stage as dvc.lock has it; no hash if it has none."""

    path: str
    md5: str | None
    size: int | None
    nfiles: int | None
    stages: tuple[str, ...]
    """Who writes it; none for raw data and code."""


@dataclass(frozen=True)
class Step:
    """One stage of the chain."""

    name: str
    description: str
    command: str
    params: Mapping[str, Mapping[str, Any]]
    """Values by file and dotted key."""
    inputs: tuple[File, ...]
    code: tuple[File, ...]
    outputs: tuple[File, ...]
    parents: tuple[str, ...]
    recorded: Mapping[str, Any] | None
    """The record of the run; None if it was not recorded here."""


@dataclass(frozen=True)
class Trace:
    """A thing, the steps behind it (first to run first), and what is not as it was."""

    target: Target
    file: File | None
    revision: str | None
    """The commit asked for; None for the workspace."""
    commit: str
    """The commit of the workspace, or the one asked for; empty outside Git."""
    lock_committed: bool
    """Whether dvc.lock is that commit's."""
    steps: tuple[Step, ...]
    raw: tuple[File, ...]
    """Inputs that no stage writes, code apart."""
    findings: tuple[Finding, ...]
    aside: frozenset[str] = frozenset()
    """Steps that its writer reads for other numbers: the other rows of the table, figures."""


def trace(root: Path, words: str, revision: str | None, folder: Path) -> Trace:
    """Follow what ``words`` mean (see ``find_target``) back to raw data.

    Raises:
        UserError: words or revision are unknown, or a file of the pipeline cannot be read.
    """
    commit = resolve_revision(root, revision) if revision else None
    lineage = Lineage(Snapshot(root, commit))
    target = find_target(lineage, words, folder)
    names = lineage.upstream(target.stages)
    workspace = lineage if commit is None else Lineage(Snapshot(root))
    hashes = WorkspaceHashes(root, remember=True)
    findings = check_lock(lineage, names)
    if commit is not None:
        findings += check_committed(lineage, names)
    findings += check_workspace(lineage, names, hashes, workspace)
    if target.path and not target.stages:
        findings += check_raw(lineage, target.path, hashes)
    hashes.save()
    steps = _steps(lineage, names)
    raw = {file.path: file for step in steps for file in step.inputs if not file.stages}
    file = _file_of(lineage, target, hashes)
    if file and not file.stages:
        raw.setdefault(file.path, file)
    changed = git_bytes(root, "status", "--porcelain", "--", LOCK_FILE) if commit is None else b""
    return Trace(
        target=target,
        file=file,
        revision=commit,
        commit=commit or git_line(root, "rev-parse", "HEAD"),
        lock_committed=changed == b"",
        steps=steps,
        raw=tuple(raw.values()),
        findings=tuple(findings),
        aside=_aside(lineage, target, names),
    )


def _aside(lineage: Lineage, target: Target, names: list[str]) -> frozenset[str]:
    if not target.row:
        return frozenset()
    return frozenset(names) - {*target.stages, *lineage.upstream(target.row)}


def _steps(lineage: Lineage, names: list[str]) -> tuple[Step, ...]:
    witnesses = Witnesses(lineage.snapshot.root)
    steps = []
    for name in names:
        stage = lineage.stages[name]
        run = lineage.snapshot.runs.get(name) or _never_run(lineage, name)
        # DVC lists a dep twice if dvc.yaml does.
        inputs = {dep.path: _file(lineage, dep) for dep in run.deps}
        steps.append(
            Step(
                name=name,
                description=stage.description,
                command=run.cmd,
                params=run.params,
                inputs=tuple(file for path, file in inputs.items() if not code_file(path)),
                code=tuple(file for path, file in inputs.items() if code_file(path)),
                outputs=tuple(_file(lineage, out) for out in run.outs),
                parents=tuple(lineage.parents(name)),
                recorded=witnesses.record(run),
            )
        )
    return tuple(steps)


def _never_run(lineage: Lineage, name: str) -> Run:
    """A stage that dvc.lock does not know, as dvc.yaml has it, without hashes."""
    stage = lineage.stages[name]
    values = {
        file: {
            key: value
            for key in keys
            if (value := lineage.snapshot.param(file or PARAMS_FILE, key)) is not MISSING
        }
        for file, keys in stage.params.items()
    }
    deps = tuple(Entry(path, "") for path in stage.deps)
    outs = tuple(Entry(path, "") for path in stage.outs)
    return Run(name=name, cmd=stage.cmd, deps=deps, outs=outs, params=values, raw={})


def _file(lineage: Lineage, entry: Entry) -> File:
    writers = () if code_file(entry.path) else tuple(lineage.writers(entry.path))
    return File(entry.path, entry.md5 or None, entry.size, entry.nfiles, writers)


def _file_of(lineage: Lineage, target: Target, hashes: WorkspaceHashes) -> File | None:
    """What dvc.lock has for the target; for a file inside an output, what lies there now."""
    if target.path is None:
        return None
    for name in target.stages:
        run = lineage.snapshot.runs.get(name)
        for out in run.outs if run else ():
            if out.path == target.path:
                return _file(lineage, out)
    source = lineage.snapshot.source(target.path)
    if source and source.path == target.path:
        return File(source.path, source.md5, source.size, source.nfiles, ())
    for run in lineage.snapshot.runs.values():
        for dep in run.deps:
            if dep.path == target.path:
                return _file(lineage, dep)
    content = hashes.content(target.path) if lineage.snapshot.revision is None else None
    if content is None:
        return File(target.path, None, None, None, target.stages)
    return File(target.path, content.md5, content.size, content.nfiles, target.stages)
