"""What several test files share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole pipeline, run once on the very small profile; tests copy it to change it."""
    from tests.test_stages import run_all, workspace

    folder = workspace(tmp_path_factory.mktemp("pipeline") / "first")
    run_all(folder)
    return folder
