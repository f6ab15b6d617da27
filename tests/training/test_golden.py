"""Each training's first steps give the numbers that are committed: nothing changes unseen."""

import json
from functools import partial
from typing import Any

import pytest

from tests.training.golden import GOLDEN, TOLERANCE, all_steps

EXPECTED = json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return all_steps()


@pytest.mark.parametrize("training", EXPECTED)
def test_the_first_steps_are_the_golden_ones(found: dict[str, Any], training: str) -> None:
    # A weight's number is a sum with signs, so it is also compared on the scale of 1e-3.
    approx = partial(pytest.approx, rel=TOLERANCE, abs=TOLERANCE * 1e-3)
    assert found[training] == {
        part: list(map(approx, values)) if part == "steps" else approx(values)
        for part, values in EXPECTED[training].items()
    }
