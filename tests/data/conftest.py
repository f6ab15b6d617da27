"""Small labelled faces in every form a user may bring."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.raw_faces import write_class_folders, write_csv, write_rafdb


@pytest.fixture
def rafdb(tmp_path: Path) -> Path:
    return write_rafdb(tmp_path / "rafdb")


@pytest.fixture
def csv_folder(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "csv")


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "folders")


@pytest.fixture
def edit_line() -> Callable[[Path, int, str], None]:
    """Replace one line (counted from 1) of a text file."""

    def edit(path: Path, number: int, line: str) -> None:
        lines = path.read_text().splitlines()
        lines[number - 1] = line
        path.write_text("\n".join(lines) + "\n")

    return edit
