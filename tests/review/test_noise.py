"""The exact paired test: McNemar's at one scale, a sign flip at several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsr_fer.review.noise import paired_test
from fsr_fer.statistics import discordant, mcnemar_exact


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_one_scale_is_mcnemar(pairs: list[tuple[bool, bool]]) -> None:
    labels = np.ones(len(pairs), np.int64)
    before, after = (np.array(values, np.int64) for values in zip(*pairs, strict=True))
    expected = mcnemar_exact(*discordant(labels, before, after))
    assert paired_test(labels, before, after) == expected
    assert paired_test(labels, before[None], after[None]) == pytest.approx(expected)


def test_scales_of_one_face_count_together() -> None:
    """Four faces won at all of five scales are four coins, not twenty."""
    labels = np.zeros(4, np.int64)
    before, after = np.ones((5, 4), np.int64), np.zeros((5, 4), np.int64)
    assert paired_test(labels, before, after) == pytest.approx(2 * 0.5**4)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        paired_test(np.zeros(3, np.int64), np.zeros((2, 3)), np.zeros(3))
