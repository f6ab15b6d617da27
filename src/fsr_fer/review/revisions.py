"""Files of the project as they are here, in a commit or in an experiment, read through Git alone.

No DVC: importing it takes longer than everything that a review of a change computes.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fsr_fer.errors import UserError

WORKSPACE = "workspace"
EXPERIMENTS = "refs/exps"
_NO_EXPERIMENTS = ("stash", "queue", "failed", "exec", "celery", "apply")
"""What else DVC keeps below ``refs/exps``: its own notes, not results."""


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
        return _read_blobs(self.root, self.commit, list(paths))

    def read_yaml(self, path: str) -> dict[str, Any]:
        """A YAML file's keys, none if it is missing.

        Raises:
            UserError: it is no YAML or holds no keys.
        """
        content = self.read(path)
        if content is None:
            return {}
        try:
            values = yaml.load(content.decode("utf-8"), Loader=_Loader)
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


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """Reads numbers such as 2e-05, which is how DVC writes them, as numbers."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


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
    form = "--format=%(refname) %(objectname)"
    listed = (_git(root, "for-each-ref", form, EXPERIMENTS) or b"").decode().splitlines()
    found: dict[str, str] = {}
    for line in listed:
        ref, commit = line.split()
        parts = ref.removeprefix(EXPERIMENTS + "/").split("/")
        if parts[0] not in _NO_EXPERIMENTS and len(parts) == 3 and parts[2] == name:
            found[parts[0] + parts[1]] = commit
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
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        raise UserError("git is not installed, or not on the PATH") from None
    return None if done.returncode else done.stdout


def _read_blobs(root: Path, commit: str, paths: list[str]) -> dict[str, bytes | None]:
    """Many files of a commit from one Git process."""
    prefix = (_git(root, "rev-parse", "--show-prefix") or b"").decode().strip()
    asked = "".join(f"{commit}:{prefix}{path}\n" for path in paths)
    done = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=root,
        input=asked.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=True,
    )
    contents: dict[str, bytes | None] = {}
    position = 0
    for path in paths:
        end = done.stdout.index(b"\n", position)
        words = done.stdout[position:end].split()
        position = end + 1
        if len(words) >= 3 and words[-2] in (b"blob", b"tree", b"commit"):
            size = int(words[-1])
            content = done.stdout[position : position + size]
            contents[path] = content if words[-2] == b"blob" else None
            position += size + 1
        else:  # "<name> missing"
            contents[path] = None
    return contents


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
