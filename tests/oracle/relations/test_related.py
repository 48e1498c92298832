"""How far two calls of one callable may be apart: each may use up its own tolerance."""

from types import SimpleNamespace

import numpy as np
import pytest

from minimamba.oracle.bound.tolerance import unit_roundoff
from minimamba.oracle.relations.related import apart, longer

TOLERANCE = 0.25
JUDGE = SimpleNamespace(
    base=unit_roundoff("float32"),
    want={"out": np.ones(3)},
    tolerance=lambda: {"out": np.full(3, TOLERANCE)},
)
RESULT = SimpleNamespace(dtypes={"out": "float32"})


@pytest.mark.parametrize("doubt", [0.0, 0.5])
def test_two_calls_may_differ_by_both_their_tolerances_and_a_doubt(doubt):
    room = 2 * TOLERANCE + doubt
    gap = apart(JUDGE, "out", np.array([1.0, 1.0, 1 + room]), np.ones(3), RESULT, doubt)
    assert gap == pytest.approx(1, rel=1e-6)  # the room is filled, and no more than filled


def test_a_longer_sequence_is_in_doubt_where_its_tree_has_a_level_more():
    assert np.all(longer(JUDGE, 4, 1) == TOLERANCE) and longer(JUDGE, 5, 3) == 0
