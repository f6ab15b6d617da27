"""The project's files in the workspace, in a commit or in an experiment.

They are read through Git and DVC's cache; DVC itself only resolves the stages, once (graph.py).
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.pipeline.git import commit_of, experiments, git_bytes, git_refusal
from fsr_fer.pipeline.graph import resolve_graph
from fsr_fer.pipeline.paths import LOCK_FILE, PARAMS_FILE, PIPELINE_FILE
from fsr_fer.pipeline.profiles import parse_yaml
from fsr_fer.pipeline.provenance.hashing import md5_of_bytes

WORKSPACE = "workspace"
PATIENCE = 10.0
"""Seconds that we wait for another process to release DVC's lock."""


@dataclass(frozen=True)
class Revision:
    """A state of the project: a commit, or the files that lie here (``commit`` is None)."""

    root: Path
    commit: str | None = None
    name: str = WORKSPACE
    locked: bool = False
    """Whether this process holds DVC's lock."""

    @property
    def title(self) -> str:
        """What to call it: "workspace", "main (1a2b3c4)"."""
        if self.commit is None:
            return WORKSPACE
        short = self.commit[:7]
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"

    def read(self, path: str) -> bytes | None:
        """A file of the workspace or in Git; None if it is not there."""
        if self.commit is not None:
            return git_bytes(self.root, "cat-file", "blob", f"{self.commit}:./{path}")
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def values(self, path: str) -> dict[str, Any]:
        """A YAML or JSON file's keys, none if it is not there; UserError if it cannot be read."""
        content = self.read(path)
        return {} if content is None else parse_yaml(content, f"{path} of {self.title}")

    @cached_property
    def lock(self) -> dict[str, dict[str, Any]]:
        """The entry of each stage of today in dvc.lock: cmd, deps, params, outs; empty without one.

        UserError if it is not what DVC writes, which it does in place: an interrupt cuts it off.
        """
        elsewhere = self.locked or self.commit is not None
        with contextlib.nullcontext() if elsewhere else _while_not_written(self.root):
            content = self.read(LOCK_FILE.name)
        if content is None:
            return {}
        try:
            stages: dict[str, dict[str, Any]] = parse_yaml(content, LOCK_FILE.name)["stages"]
            entries = [e for s in stages.values() for e in s.get("deps", []) + s.get("outs", [])]
            whole = all(e["path"] and e["md5"] and None not in e.values() for e in entries)
        except (UserError, AttributeError, KeyError, TypeError) as error:
            if "conflict" in str(error):  # both sides' results are in it
                raise
            whole = False
        if not whole:
            raise UserError(
                f"{LOCK_FILE} of {self.title} is not whole: edited, or cut off while DVC wrote it; "
                f"`git checkout {LOCK_FILE}`, then `dvc repro`"
            )
        texts = [self.read(file.name) or b"" for file in (PIPELINE_FILE, PARAMS_FILE)]
        graph = resolve_graph(self.root, *texts)
        return {name: entry for name, entry in stages.items() if name in graph}

    def output(self, path: str) -> bytes:
        """A file that a stage wrote or DVC tracks, of here, Git or DVC's cache; else UserError."""
        content = self.read(path)
        if content is None:
            content = self._cached(path) or self._tracked(path)
        if content is None:
            raise UserError(
                f"{path} of {self.title} is not in DVC's cache; `dvc fetch -A` brings the results "
                "of all commits, where there is a remote"
            )
        return content

    def _cached(self, path: str) -> bytes | None:
        for stage in self.lock.values():
            for out in stage.get("outs", []):
                content = self._object(out.get("md5", "")) if holds(out["path"], path) else None
                if content is not None and out["path"] != path:  # in a folder: that is a list
                    below = path.removeprefix(out["path"] + "/")
                    md5s = {file["relpath"]: file["md5"] for file in json.loads(content)}
                    content = self._object(md5s.get(below, ""))
                if content is not None:
                    return content
        return None

    def _tracked(self, path: str) -> bytes | None:
        """What the .dvc file beside a path names, of those with one file."""
        outs = self.values(f"{path}.dvc").get("outs", [])
        return self._object(outs[0].get("md5", "")) if outs else None

    def _object(self, md5: str) -> bytes | None:
        """What the cache has under a hash; something else, of a damaged cache, counts as none."""
        file = self._cache / md5[:2] / md5[2:]
        content = file.read_bytes() if file.is_file() else b""
        return content if md5_of_bytes(content) == md5.removesuffix(".dir") else None

    @cached_property
    def _cache(self) -> Path:
        from dvc.config import Config

        folder = self.root / ".dvc"
        return Path(Config(str(folder))["cache"].get("dir", folder / "cache"), "files/md5")


@contextlib.contextmanager
def _while_not_written(root: Path) -> Iterator[None]:
    """Hold DVC's lock, under which it writes dvc.lock, or go on without it after a while."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # DVC has not run here, or locks otherwise
            lock = stack.enter_context(open(root / ".dvc/tmp/lock"))
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:  # `dvc push` holds it for hours, and writes nothing
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                time.sleep(0.1)
        yield


def find_revision(root: Path, name: str) -> Revision:
    """What a commit, branch, tag or experiment of that name is; "workspace" is the files here.

    UserError if the name is unknown or stands for several experiments.
    """
    if name == WORKSPACE:
        return Revision(root)
    if refusal := git_refusal(root):
        raise UserError(f"{root}: no earlier state to look at: {refusal}")
    found = experiments(root, name)
    # An experiment that started from HEAD goes first, as in DVC.
    commit = commit_of(root, name) or found.get(commit_of(root, "HEAD"))
    if not commit and len(found) > 1:
        started = ", ".join(base[:7] for base in found)
        raise UserError(
            f"several experiments are called {name!r} (they started from {started}); "
            "give the commit of one, see `dvc exp list --all-commits --sha`"
        )
    if not commit and not found:
        raise UserError(
            f"{name!r} is neither a revision nor an experiment here (`git log`, `dvc exp list`); "
            "in a shallow clone or for somebody else's branch, `git fetch` it first"
        )
    return Revision(root, commit or next(iter(found.values())), name)


def holds(folder: str, path: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it."""
    return path == folder or path.startswith(folder + "/")


def some(names: list[str]) -> str:
    """The first four names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
