"""Everything that can contradict dvc.lock, asked; no hash is taken from memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fsr_fer.provenance.checks import Finding, check_lock, check_raw, check_workspace
from fsr_fer.provenance.hash_cache import WorkspaceHashes
from fsr_fer.provenance.lineage import Lineage, find_target
from fsr_fer.provenance.pipeline import Snapshot
from fsr_fer.provenance.witness import Witnesses


@dataclass(frozen=True)
class Verdict:
    """What was looked at and what was wrong with it."""

    stages: tuple[str, ...]
    """All that were checked, the first to run first."""
    named: tuple[str, ...]
    """Of these, the ones that the user's targets name or are written by."""
    paths: int
    """Files and folders whose hashes were recomputed."""
    committed_only: tuple[str, ...]
    """Stages whose result nobody but Git vouches for."""
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...] = ()
    """Stages of pipelines beside the main one that ran elsewhere: their files are not here."""


def verify(root: Path, targets: Sequence[str], folder: Path) -> Verdict:
    """Check the chains of ``targets`` (see ``find_target``); without any, all that has to be there.

    Found are: files that are not what dvc.lock says, in bytes, size or number; entries of dvc.lock
    that do not fit each other, dvc.yaml, params.yaml, the .dvc files, or what DVC's run cache, the
    records of runs and Git remember of the same run. Not found is a forgery of all of these
    together: ``replay`` alone sees that.

    Raises:
        UserError: a target is unknown, or a file of the pipeline cannot be read.
    """
    snapshot = Snapshot(root)
    lineage = Lineage(snapshot)
    found = [find_target(lineage, words, folder) for words in targets]
    chosen = {name for target in found for name in target.stages}
    left_out: list[str] = []
    if not targets:
        beside = [n for n in lineage.order if lineage.stages[n].further and n in snapshot.runs]
        left_out = [name for name in beside if not _is_here(lineage, name)]
        chosen = {n for n in lineage.order if not lineage.stages[n].further}
        chosen |= set(beside) - set(left_out)
    names = lineage.upstream(chosen)
    witnesses = Witnesses(root)
    runs = [snapshot.runs[name] for name in names if name in snapshot.runs]
    hashes = WorkspaceHashes(root, remember=False)
    findings = check_lock(lineage, names)
    findings += check_workspace(lineage, names, hashes, lineage)
    for target in found:
        if target.path and not target.stages:
            findings += check_raw(lineage, target.path, hashes)
    doubts = [finding for run in runs for finding in witnesses.check(run)]
    findings += doubts
    doubted = {name for finding in doubts for name in finding.stages}
    return Verdict(
        stages=tuple(names),
        named=tuple(name for name in names if name in chosen),
        paths=len({entry.path for run in runs for entry in (*run.deps, *run.outs)}),
        committed_only=tuple(
            run.name for run in runs if run.name not in doubted and witnesses.only_committed(run)
        ),
        findings=tuple(findings),
        left_out=tuple(left_out),
    )


def _is_here(lineage: Lineage, name: str) -> bool:
    """Whether all that a stage beside the pipeline rests on there lies in the workspace."""
    behind = [lineage.stages[n] for n in lineage.upstream([name])]
    root = lineage.snapshot.root
    return all((root / out).exists() for stage in behind if stage.further for out in stage.outs)
