"""The exact paired test: McNemar's at one scale, by enumeration at several."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsr_fer.review.noise import paired_test, sign_flip_exact
from fsr_fer.statistics import discordant, mcnemar_exact


def enumerated(gained: list[int]) -> float:
    """Share of all choices of signs that give as large a sum."""
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, gained, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(gained))
    ]
    return sum(value >= abs(sum(gained)) for value in sums) / len(sums)


@given(st.lists(st.integers(-7, 7), max_size=10))
def test_the_p_value_is_the_share_of_sign_choices(gained: list[int]) -> None:
    assert sign_flip_exact(np.array(gained, np.int64)) == pytest.approx(enumerated(gained))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_one_scale_is_mcnemar(pairs: list[tuple[bool, bool]]) -> None:
    labels = np.ones(len(pairs), np.int64)
    before, after = (np.array(values, np.int64) for values in zip(*pairs, strict=True))
    expected = mcnemar_exact(*discordant(labels, before, after))
    assert paired_test(labels, before, after) == expected
    assert paired_test(labels, before[None], after[None]) == pytest.approx(expected)


def test_many_faces_and_small_p_values() -> None:
    assert sign_flip_exact(np.full(1200, 7)) == pytest.approx(2 * 0.5**1000 * 0.5**200, abs=1e-300)
    noise = np.random.default_rng(1).integers(-7, 8, 3068)
    assert 0.01 < sign_flip_exact(noise - 0) <= 1
    assert sign_flip_exact(noise + 1) < 1e-20


def test_scales_of_one_face_count_together() -> None:
    """Four faces won at all of five scales are four coins, not twenty."""
    labels = np.zeros(4, np.int64)
    before, after = np.ones((5, 4), np.int64), np.zeros((5, 4), np.int64)
    assert paired_test(labels, before, after) == pytest.approx(2 * 0.5**4)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        paired_test(np.zeros(3, np.int64), np.zeros((2, 3)), np.zeros(3))
