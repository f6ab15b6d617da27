"""What Git knows, asked through its own program."""

import subprocess
from pathlib import Path


def git_bytes(root: Path, *words: str) -> bytes | None:
    """What a git command prints; None if it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def git_refusal(root: Path) -> str:
    """Why Git does not answer for a folder, in its own words; empty if it does."""
    words = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "git is not installed"
    first = next(iter(done.stderr.splitlines()), "it has no commit")
    return "" if done.returncode == 0 else first.removeprefix("fatal: ")


def git_line(root: Path, *words: str) -> str:
    """The first line of what a git command prints; empty if it fails."""
    lines = (git_bytes(root, *words) or b"").decode("utf-8", "replace").splitlines()
    return lines[0] if lines else ""


def experiments(root: Path, name: str) -> dict[str, str]:
    """Commits of DVC's experiments of that name, by the commit they started from."""
    # DVC keeps them as refs/exps/<2 of the base commit>/<38 of it>/<name>.
    words = ("for-each-ref", "--format=%(refname) %(objectname)", f"refs/exps/*/*/{name}")
    refs = [line.split() for line in (git_bytes(root, *words) or b"").decode().splitlines()]
    return {"".join(ref.split("/")[2:4]): commit for ref, commit in refs}
