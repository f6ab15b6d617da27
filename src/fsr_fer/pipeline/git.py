"""Queries to the program git."""

import subprocess
from pathlib import Path


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *words]
    try:
        return subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"git is not installed")


def git_bytes(root: Path, *words: str) -> bytes | None:
    """What a git command prints; None if it fails or there is no git."""
    done = _git(root, *words)
    return done.stdout if done.returncode == 0 else None


def git_refusal(root: Path) -> str:
    """Git's message if it cannot read a folder's HEAD; empty if it can."""
    done = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if done.returncode == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace")
    if not said:
        return "it has no commit"
    return said.splitlines()[0].removeprefix("fatal: ")


def commit_of(root: Path, name: str) -> str:
    """The commit of a branch, tag or hash; empty if there is none."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    commit = (git_bytes(root, *words) or b"").decode().strip()
    return "" if commit.startswith("^") else commit  # ^main: all that is not in main


def experiments(root: Path, name: str) -> dict[str, str]:
    """Commits of DVC's experiments of that name, by the commit they started from."""
    # DVC keeps them as refs/exps/<2 of the base commit>/<38 of it>/<name>.
    words = ("for-each-ref", "--format=%(refname) %(objectname)", f"refs/exps/*/*/{name}")
    refs = [line.split() for line in (git_bytes(root, *words) or b"").decode().splitlines()]
    return {"".join(ref.split("/")[2:4]): commit for ref, commit in refs}
