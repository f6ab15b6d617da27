"""Atomic writing."""

from pathlib import Path

import pytest

from fsr_fer.common.files import replacing, write_text


def fail_half_way(part: Path) -> None:
    part.write_text("half")
    raise ValueError("half way")


def test_a_file_is_replaced_whole_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "a.csv.part").write_text("the user's own")
    write_text(tmp_path / "a.csv", "new")
    with pytest.raises(ValueError, match="half way"), replacing(tmp_path / "a.csv") as part:
        fail_half_way(part)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.csv": "new",
        "a.csv.part": "the user's own",
    }


def test_an_error_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / ("n" * 250)):
        with pytest.raises(OSError, match=path.name) as caught:
            write_text(path, "text")
        assert caught.value.filename == str(path)
