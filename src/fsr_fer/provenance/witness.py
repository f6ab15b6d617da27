"""Who else remembers what a stage made: against a dvc.lock that was edited together with files.

A forger who changes a metric and its hash in dvc.lock leaves both in harmony. Three others may
still know better: DVC's run cache (one entry per command, inputs and params, with the hashes of
what came out), the records of runs, and the dvc.lock of commits and experiments. One that has
exactly this entry vouches for it; one that has another result of the same inputs contradicts it.

Who edits these as well, or has a clone without them, is caught by running the stage again alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from fsr_fer.errors import UserError
from fsr_fer.git import EXPERIMENTS, git_bytes
from fsr_fer.provenance.cache import cache_folder
from fsr_fer.provenance.checks import Finding
from fsr_fer.provenance.pipeline import LOCK_FILE, Run, Snapshot
from fsr_fer.provenance.record import RECORDS_FOLDER, record_key
from fsr_fer.yaml12 import load_yaml

MAX_REVISIONS = 50
"""How many experiments are asked at most."""


class Witnesses:
    """What the run cache, the records and past revisions know about runs."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._run_cache = cache_folder(root) / "runs"

    def record(self, run: Run) -> dict[str, Any] | None:
        """The record of exactly this run; None if it was not recorded here."""
        path = self._root / RECORDS_FOLDER / run.name / f"{record_key(*_hashes(run))}.json"
        return _read_record(path)

    def check(self, run: Run) -> Iterator[Finding]:
        """One finding if somebody remembers another result, or nobody remembers this one."""
        if self._in_run_cache(run) or self.record(run):
            return
        again = f"`fsr-fer verify {run.name} --replay` tells"
        if others := [*self._other_results(run)]:
            text = (
                f"the entry of {run.name} contradicts {' and '.join(others)}: same command, inputs "
                f"and params, other outputs. Edited, or run again elsewhere: {again}"
            )
            yield Finding("witness", LOCK_FILE, text, (run.name,))
        elif not any(_same(run, other) for other in self._committed(run.name)):
            text = (
                f"nothing vouches for the entry of {run.name}: not DVC's run cache, no record of a "
                f"run, no commit. Edited, or brought here without these: {again}"
            )
            yield Finding("witness", LOCK_FILE, text, (run.name,))

    def only_committed(self, run: Run) -> bool:
        """Whether Git alone vouches for a run, and Git's copy may have been edited as well."""
        return not self._in_run_cache(run) and not self.record(run)

    def _in_run_cache(self, run: Run) -> bool:
        return _run_hash(run.raw) in self._cached_results(run)

    def _cached_results(self, run: Run) -> dict[str, Mapping[str, Any]]:
        """Entries of the run cache for the same command, inputs and params, if they are whole."""
        key = _run_hash({**run.raw, "outs": [out["path"] for out in run.raw.get("outs", [])]})
        folder = self._run_cache / key[:2] / key
        found = {}
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                raw = load_yaml(path.read_bytes())
                if _run_hash(raw) == path.name:
                    found[path.name] = raw
            except (OSError, yaml.YAMLError, AttributeError, TypeError):
                continue  # damaged: it vouches for nothing
        return found

    def _other_results(self, run: Run) -> Iterator[str]:
        if self._cached_results(run):
            yield "DVC's run cache"
        params, deps, outs = _hashes(run)
        folder = self._root / RECORDS_FOLDER / run.name
        for path in folder.glob("*.json"):
            record = _read_record(path)
            if record and record["params"] == params and record["deps"] == deps:
                yield f"the record of {record.get('started', path.name)}"
                break
        for other in self._committed(run.name):
            known_params, known_deps, known_outs = _hashes(other)
            if (known_params, known_deps) == (params, deps) and other.cmd == run.cmd:
                if known_outs == outs:
                    return  # another commit has exactly this
                yield "dvc.lock in Git"
                break

    def _committed(self, name: str) -> Iterator[Run]:
        for runs in self._committed_locks:
            if name in runs:
                yield runs[name]

    @cached_property
    def _committed_locks(self) -> list[dict[str, Run]]:
        """The entries of dvc.lock at HEAD and in experiments, each version once."""
        listing = (
            git_bytes(self._root, "for-each-ref", "--format=%(objectname)", EXPERIMENTS) or b""
        )
        commits = ["HEAD", *listing.decode().split()[:MAX_REVISIONS]]
        commit_of: dict[bytes, str] = {}
        for commit in commits:
            if blob := git_bytes(self._root, "rev-parse", "--verify", f"{commit}:{LOCK_FILE}"):
                commit_of.setdefault(blob, commit)
        found = []
        for commit in commit_of.values():
            try:
                found.append(Snapshot(self._root, commit).runs)
            except UserError:
                continue  # a broken dvc.lock was committed: it vouches for nothing
        return found


def _read_record(path: Path) -> dict[str, Any] | None:
    """A record, if it is whole and under the name that its hashes make."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        key = record_key(record["params"], record["deps"], record["outs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if key == path.stem else None


def _hashes(run: Run) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Params, deps and outs in the form that records have."""
    params = {key: value for values in run.params.values() for key, value in values.items()}
    return (
        params,
        {entry.path: entry.md5 for entry in run.deps},
        {entry.path: entry.md5 for entry in run.outs},
    )


def _same(run: Run, other: Run) -> bool:
    return run.cmd == other.cmd and _hashes(run) == _hashes(other)


def _run_hash(raw: Mapping[str, Any]) -> str:
    """The hash by which DVC files a run in its cache: sizes do not count."""
    return hashlib.sha256(json.dumps(_without_sizes(raw), sort_keys=True).encode()).hexdigest()


def _without_sizes(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_sizes(v) for k, v in value.items() if k not in ("size", "nfiles")}
    return [_without_sizes(inner) for inner in value] if isinstance(value, list) else value
