"""Progress lines, and what runs without them."""

import sys

import pytest

from fsr_fer.common.progress import progress


def test_without_tqdm_there_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(progress(iter([1, 2]), total=2, desc="some")) == [1, 2]
