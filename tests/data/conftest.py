"""Small labelled faces in every form a user may bring."""

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
