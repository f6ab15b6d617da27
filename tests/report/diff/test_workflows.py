"""The workflows: their schema, what they may do, and the script that comments."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.pipeline.provenance.conftest import commit, init, own_environment, shell

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SCRIPTS = sorted((ROOT / ".github/scripts").glob("*.sh"))
SHA = "0123456789abcdef0123456789abcdef01234567"


def load(name: str) -> tuple[dict[Any, Any], list[dict[str, Any]]]:
    """A workflow, and the steps of all its jobs."""
    workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    return workflow, [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed"
)
def test_the_workflows_fit_their_schema() -> None:
    words = ["--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    shell(ROOT, sys.executable, "-m", "check_jsonschema", *words)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_no_shell_line_takes_an_expression(path: Path) -> None:
    """A branch's name put into a shell line would be run; through the environment it is text."""
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    _, steps = load(path.stem)
    assert not any("${{" in step.get("run", "") for step in steps)


@pytest.mark.parametrize("name", ["tests", "pipeline"])
def test_what_runs_a_pull_requests_code_may_only_read(name: str) -> None:
    workflow, steps = load(name)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    assert "secrets." not in (ROOT / f".github/workflows/{name}.yml").read_text()
    for step in steps:
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_every_python_that_is_allowed_fingerprints_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    workflow, _ = load("tests")
    *_, setup, step = workflow["jobs"]["fingerprints"]["steps"]
    versions = setup["with"]["python-version"].split()
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert f"for version in {' '.join(versions)}; do" in step["run"]


def test_what_may_write_never_runs_a_pull_requests_code() -> None:
    workflow, steps = load("comment")
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert {key for key, may in job["permissions"].items() if may == "write"} == {"pull-requests"}
    assert list(workflow[True]) == ["workflow_run"]  # YAML 1.1 reads `on` as true
    (checkout,) = [step for step in steps if "checkout" in step.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_scripts_are_shell(path: Path) -> None:
    assert os.access(path, os.X_OK)
    shell(ROOT, "bash", "-n", str(path))
    if shutil.which("shellcheck"):
        shell(ROOT, "shellcheck", "--severity=warning", str(path))


def test_the_review_removes_nothing_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(AssertionError, match="was not made by this script"):
        shell(ROOT, "bash", ".github/scripts/review.sh", "HEAD", str(tmp_path))
    assert (tmp_path / "mine.txt").read_text() == "kept"


FSR_FER = """#!/bin/sh
# What the base and the head run: a page of the selected profile.
[ "$1" = diff ] && { echo compared; exit; }
dvc cache dir >>"$SEEN"
cat data/raw/own/face.txt >>"$SEEN" || exit 1
echo '{"profile": "small"}' >settings.json
mkdir -p data/small/report && echo small >data/small/report/index.html
"""


def test_the_review_takes_the_cache_the_faces_and_the_profile_of_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, programs, seen = (tmp_path / name for name in ("project", "bin", "seen"))
    shutil.copytree(ROOT / ".github/scripts", root / ".github/scripts")
    init(root)
    (root / ".gitignore").write_text("/build/\n/data/small/\n/data/another/\n/settings.json\n")
    shell(root, "dvc", "config", "--local", "cache.dir", "../shared")
    face = root / "data/raw/own/face.txt"
    face.parent.mkdir(parents=True)
    face.write_text("face\n")
    shell(root, "dvc", "add", "-q", str(face.parent))
    commit(root, "base")
    shell(root, "dvc", "install")  # hooks: in a new worktree they find no cache and fail
    page = root / "data/another/report/index.html"
    page.parent.mkdir(parents=True)
    page.write_text("another")  # of a profile that was selected before
    programs.mkdir()
    (programs / "fsr-fer").write_text(FSR_FER)
    (programs / "fsr-fer").chmod(0o755)
    monkeypatch.setenv("SEEN", str(seen))
    path = f"{programs}{os.pathsep}{own_environment()['PATH']}"
    subprocess.run(
        ["bash", ".github/scripts/review.sh", "HEAD"],
        cwd=root,
        env={**own_environment(), "PATH": path},
        check=True,
    )
    assert seen.read_text().split() == [str(tmp_path / "shared"), "face"] * 2
    assert (root / "build/review/report/index.html").read_text() == "small\n"


GH = r"""#!/usr/bin/env python3
# A GitHub of one pull request, number 7, in state.json.
import json, os, pathlib, subprocess, sys
words = sys.argv[2:]
state = pathlib.Path(os.environ["STATE"])
data = json.loads(state.read_text())
path = next(word for word in words if word.startswith("repos/"))
if "--method" not in words:
    pull = {"head": {"sha": data["head"]}}
    known = {"repos/o/r/pulls/7": pull, "repos/o/r/issues/7/comments": data["comments"]}
    if path not in known:
        sys.exit("gh: Not Found (HTTP 404)")
    query = ["jq", "-r", words[words.index("--jq") + 1]]
    sys.exit(subprocess.run(query, input=json.dumps(known[path]), text=True).returncode)
body = json.load(sys.stdin)["body"]
if "POST" in words:
    bot = {"login": "github-actions[bot]"}
    data["comments"].append({"id": 100 + len(data["comments"]), "user": bot, "body": body})
else:
    (comment,) = [c for c in data["comments"] if path.endswith(f"/{c['id']}")]
    comment["body"] = body
state.write_text(json.dumps(data))
"""


class GitHub:
    """Runs comment.sh against the GitHub above."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state.json"
        (folder / "gh").write_text(GH)
        (folder / "gh").chmod(0o755)
        stranger = {"id": 1, "user": {"login": "mallory"}, "body": "<!-- fsr-fer review --> mine"}
        self.state.write_text(json.dumps({"head": SHA, "comments": [stranger]}))
        self.leave("7\n", "### Gate passed\n")

    def leave(self, number: str, comment: str) -> None:
        (self.folder / "number").write_text(number)
        (self.folder / "comment.md").write_text(comment)

    def run(self, sha: str = SHA) -> int:
        own = {"STATE": str(self.state), "REPOSITORY": "o/r", "HEAD_SHA": sha}
        environment = {**os.environ, **own, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        command = ["bash", ROOT / ".github/scripts/comment.sh", self.folder]
        return subprocess.run(command, env=environment).returncode

    @property
    def comments(self) -> list[str]:
        return [comment["body"] for comment in json.loads(self.state.read_text())["comments"]]


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    if missing := [tool for tool in ("bash", "jq", "iconv") if shutil.which(tool) is None]:
        pytest.skip(f"{missing[0]} is not installed")
    return GitHub(tmp_path)


def test_one_comment_that_later_pushes_update(github: GitHub) -> None:
    assert github.run() == 0
    github.leave("7\n", "### Gate failed\n")
    assert github.run() == 0
    mine, own = github.comments
    assert mine.endswith("mine")
    assert "Gate failed" in own
    assert "Gate passed" not in own


@pytest.mark.parametrize(
    ("number", "sha", "code"),
    [("7", "f" * 40, 0)]  # another commit's
    + [(n, SHA, 1) for n in ("", "x", "7/../8", "7 --method DELETE", "$(id)", "07", "8")],
)
def test_a_number_that_is_forged_or_not_of_this_commit_gets_no_comment(
    github: GitHub, number: str, sha: str, code: int
) -> None:
    github.leave(number, "text")
    assert github.run(sha) == code
    assert len(github.comments) == 1


def test_a_link_in_the_artifact_is_not_followed(github: GitHub) -> None:
    (github.folder / "comment.md").unlink()
    (github.folder / "comment.md").symlink_to("/etc/passwd")
    assert github.run() == 1
    assert len(github.comments) == 1


def test_what_a_stranger_wrote_stays_text(github: GitHub) -> None:
    github.leave("7", "@everyone $(touch hacked) `touch hacked` \x00 " + "ä" * 100_000)
    assert github.run() == 0
    body = github.comments[1]
    assert "@everyone" not in body
    assert "$(touch hacked)" in body
    assert len(body) < 65_536
    assert not list(github.folder.rglob("hacked"))
