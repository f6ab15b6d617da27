"""What Git knows, asked through its own program."""

import subprocess
from pathlib import Path

EXPERIMENTS = "refs/exps/"
"""Where DVC keeps experiments: refs/exps/<2 of the base commit>/<38 of it>/<name>."""


def git_bytes(root: Path, *words: str) -> bytes | None:
    """What a git command prints; None if it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def git_line(root: Path, *words: str) -> str:
    """The first line of what a git command prints; empty if it fails."""
    lines = (git_bytes(root, *words) or b"").decode("utf-8", "replace").splitlines()
    return lines[0] if lines else ""


def experiments(root: Path, name: str) -> dict[str, str]:
    """Commits of DVC's experiments of that name, by the commit they started from."""
    form = "--format=%(refname) %(objectname)"
    listed = (git_bytes(root, "for-each-ref", form, EXPERIMENTS) or b"").decode().splitlines()
    found = {}
    for ref, commit in (line.split() for line in listed):
        # What else DVC keeps there (stash, queue, ...) has fewer parts.
        parts = ref.removeprefix(EXPERIMENTS).split("/")
        if len(parts) == 3 and parts[2] == name:
            found[parts[0] + parts[1]] = commit
    return found
