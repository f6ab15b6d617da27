"""What several test files share."""

import sys
from collections.abc import Callable
from pathlib import Path

import dvc  # noqa: F401  (its logger keeps the stderr of its import: not that of one test)
import pytest

from fsr_fer import cli

Run = Callable[..., tuple[int, str, str]]

LONGEST = ("test_docs.py", "test_stages.py", "test_scripts.py", "test_verify.py")
"""Files that take longest, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no core is left alone with a long file at the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``fsr-fer`` with these words; the result is exit code, stdout, stderr."""

    def run_with(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fsr-fer", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        code = caught.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return run_with


def refused(done: tuple[int, str, str]) -> str:
    """The one line that a command, a user's mistake, ended with."""
    code, out, err = done
    assert (code, out, err.count("\n")) == (1, "", 1), err
    return err


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole pipeline, run once on the very small profile; tests copy it to change it."""
    from tests.pipeline.test_stages import run_all, workspace

    folder = workspace(tmp_path_factory.mktemp("pipeline") / "first")
    run_all(folder)
    return folder
