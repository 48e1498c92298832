"""Can the checks fail? Every gradient leaf, wrong by a thousandth, must be found."""

import numpy as np
import pytest

from minimamba.gradcheck import check_vjp
from minimamba.trees import tree_leaves, tree_map
from tests.cases import Sizes, collect

LEAVES = [
    pytest.param(case, index, id=f"{case.name}-{path}")
    for case in collect()
    for index, (path, _) in enumerate(
        tree_leaves(tuple(case.draw(np.random.default_rng(0), Sizes())))
    )
]


@pytest.mark.parametrize("case, index", LEAVES)
def test_a_gradient_wrong_by_a_thousandth_is_found(case, index):
    inputs = case.draw(np.random.default_rng(0), Sizes())

    def wrong(*args):
        leaves = iter(range(10**6))
        return tree_map(lambda g: g * 1.001 if next(leaves) == index else g, case.backward(*args))

    check_vjp(case.op, case.backward, inputs, case.tangent, case.tolerance)
    with pytest.raises(AssertionError, match="is wrong"):
        check_vjp(case.op, wrong, inputs, case.tangent, case.tolerance)
