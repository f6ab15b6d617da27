"""Each training's first steps give the numbers that are committed: nothing changes unseen."""

import json
from typing import Any

import pytest

from tests.training.golden import GOLDEN, TOLERANCE, all_steps

EXPECTED = json.loads(GOLDEN.read_text())


def flat(values: Any, start: str = "") -> dict[str, float]:
    if isinstance(values, (int, float)):
        return {start: float(values)}
    items = enumerate(values) if isinstance(values, list) else values.items()
    found: dict[str, float] = {}
    for key, value in items:
        found |= flat(value, f"{start}/{key}")
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return all_steps()


@pytest.mark.parametrize("training", EXPECTED)
def test_the_first_steps_are_the_golden_ones(found: dict[str, Any], training: str) -> None:
    expected, numbers = flat(EXPECTED[training]), flat(found[training])
    assert numbers.keys() == expected.keys()
    for name, value in expected.items():
        # A weight's number is a sum with signs, so it is also compared on the scale of 1e-3.
        assert numbers[name] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE * 1e-3), name
