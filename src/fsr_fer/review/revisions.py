"""Files of the project as they are here, in a commit or in an experiment, read through Git alone.

No DVC: importing it takes longer than everything that a review of a change computes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fsr_fer.errors import UserError
from fsr_fer.git import experiments, git_bytes, read_blobs
from fsr_fer.yaml12 import load_yaml

WORKSPACE = "workspace"


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One state of the project: a commit, or the files that lie here (``commit`` is None)."""

    root: Path
    name: str
    commit: str | None

    @property
    def title(self) -> str:
        """What to call it: "workspace", "main (1a2b3c4)"."""
        if self.commit is None:
            return WORKSPACE
        short = self.commit[:7]
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"

    def read(self, path: str) -> bytes | None:
        """A file's content, None if it is not there; ``path`` is relative to the project."""
        return self.read_all([path])[path]

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes | None]:
        """The same for many files at once."""
        if self.commit is None:
            files = {path: self.root / path for path in paths}
            return {path: f.read_bytes() if f.is_file() else None for path, f in files.items()}
        return read_blobs(self.root, self.commit, paths)

    def read_yaml(self, path: str) -> dict[str, Any]:
        """A YAML file's keys, none if it is missing.

        Raises:
            UserError: it is no YAML or holds no keys.
        """
        content = self.read(path)
        if content is None:
            return {}
        try:
            values = load_yaml(content)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} of {self.title} cannot be read: {' '.join(str(error).split())}"
            ) from None
        if not isinstance(values, dict):
            raise UserError(f"{path} of {self.title} holds no keys")
        return values

    def tracked_data(self) -> list[str]:
        """The .dvc files, also those that Git does not know yet."""
        if self.commit is None:
            words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.dvc"]
        else:
            words = ["ls-tree", "-z", "-r", "--name-only", self.commit]
        listed = (_git(self.root, *words) or b"").decode("utf-8", "surrogateescape").split("\0")
        return sorted({path for path in listed if Path(path).suffix == ".dvc"})


def parse_range(root: Path, text: str) -> tuple[Revision, Revision]:
    """Before and after: ``REV`` against the workspace, or ``A..B`` (an empty side is HEAD).

    Raises:
        UserError: a name is unknown or stands for several experiments.
    """
    if "..." in text:
        before, _, after = text.partition("...")
        raise UserError(
            f"{text!r}: three dots are not understood; write {before or 'HEAD'}..{after or 'HEAD'}"
        )
    if ".." not in text:
        return resolve(root, text), Revision(root=root, name=WORKSPACE, commit=None)
    before, _, after = text.partition("..")
    return resolve(root, before or "HEAD"), resolve(root, after or "HEAD")


def resolve(root: Path, name: str) -> Revision:
    """The commit that a revision or an experiment's name stands for; "workspace" is the files here.

    Raises:
        UserError: the name is unknown or stands for several experiments.
    """
    if name == WORKSPACE:
        return Revision(root=root, name=name, commit=None)
    if _git(root, "rev-parse", "--git-dir") is None:
        raise UserError(f"{root} is not in a Git repository: there is no earlier state to look at")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    if commit is None:
        commit = _experiment(root, name)
    if not commit:
        raise UserError(
            f"{name!r} is neither a revision nor an experiment here (`git log`, `dvc exp list`); "
            "in a shallow clone or for somebody else's branch, `git fetch` it first"
        )
    return Revision(root=root, name=name, commit=commit.decode().strip())


def _experiment(root: Path, name: str) -> bytes | None:
    """The commit of ``dvc exp``'s experiment; one that started from HEAD goes first, as in DVC."""
    found = experiments(root, name)
    head = (_git(root, "rev-parse", "HEAD") or b"").decode().strip()
    if head in found:
        return found[head].encode()
    if len(found) > 1:
        started = ", ".join(commit[:7] for commit in found)
        raise UserError(
            f"several experiments are called {name!r} (they started from {started}); "
            "give the commit of one, see `dvc exp list --all-commits --sha`"
        )
    return next(iter(found.values())).encode() if found else None


def _git(root: Path, *words: str) -> bytes | None:
    """What Git prints, None if it fails."""
    if shutil.which("git") is None:
        raise UserError("git is not installed, or not on the PATH")
    return git_bytes(root, *words)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones; lists and empty sections stay whole."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, name + ".")
        else:
            flat[name] = value
    return flat


def same(first: object, second: object) -> bool:
    """Whether two values of params are the same, 2 and 2.0 included."""
    if isinstance(first, float) and isinstance(second, float):
        return first == second or (math.isnan(first) and math.isnan(second))
    if isinstance(first, bool) is not isinstance(second, bool):
        return False
    return first == second
