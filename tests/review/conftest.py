"""A project with results, and the command line in it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fsr_fer import cli
from tests.review.project import Project

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without results; the current folder is its top."""
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``fsr-fer`` with these words; the result is exit code, stdout, stderr."""

    def run_with(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fsr-fer", *(str(word) for word in words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as caught:
            code = caught.code
        captured = capsys.readouterr()
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return run_with
