"""A project with made-up results."""

from pathlib import Path

import pytest

from tests.report.diff.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without results; the current folder is its top."""
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made
