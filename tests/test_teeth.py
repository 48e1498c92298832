"""Can the checks fail? Every gradient leaf, wrong by a thousandth, must be found."""

import numpy as np
import pytest

from minimamba.gradcheck import check_vjp
from minimamba.trees import tree_leaves, tree_map
from tests.cases import Sizes, collect


@pytest.mark.parametrize("case", collect(), ids=lambda case: case.name)
def test_a_gradient_wrong_by_a_thousandth_is_found_in_every_leaf(case):
    inputs = case.draw(np.random.default_rng(0), Sizes())
    tangent = remembered(case.tangent)
    check_vjp(case.op, case.backward, inputs, tangent, case.tolerance)
    unnoticed = []
    for index, (path, _) in enumerate(tree_leaves(tuple(inputs))):
        try:
            check_vjp(case.op, spoiled(case.backward, index), inputs, tangent, case.tolerance)
        except AssertionError:
            continue
        unnoticed.append(path)
    assert unnoticed == []


def spoiled(backward, index):
    """Return a backward whose leaf of that index is a thousandth too large."""

    def wrong(*args):
        leaves = iter(range(10**6))
        return tree_map(lambda g: g * 1.001 if next(leaves) == index else g, backward(*args))

    return wrong


def remembered(tangent):
    """Return the tangent function, asked once only for each of the directions, always the same."""
    known = {}

    def remembering(op, inputs, direction):
        key = b"".join(leaf.tobytes() for _, leaf in tree_leaves(direction))
        if key not in known:
            known[key] = tangent(op, inputs, direction)
        return known[key]

    return remembering
