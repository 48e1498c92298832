"""The gated linear unit."""

import numpy as np
import pytest

from minimamba.ops.elementwise import sigmoid
from minimamba.ops.glu import GLUParams, glu
from minimamba.ops.linear import LinearParams


def draw(d=3):
    rng = np.random.default_rng(11)
    fc1 = LinearParams(rng.standard_normal((d, 2 * d)), rng.standard_normal(2 * d))
    fc2 = LinearParams(rng.standard_normal((d, d)), rng.standard_normal(d))
    return rng.standard_normal((2, 5, d)), GLUParams(fc1, fc2)


def test_the_second_half_gates_the_first():
    x, p = draw()
    both = x @ p.fc1.weight + p.fc1.bias
    expected = (both[..., :3] * sigmoid(both[..., 3:])[0]) @ p.fc2.weight + p.fc2.bias
    # Two sums of three products in a row, of numbers below 10.
    np.testing.assert_allclose(glu(x, p)[0], expected, rtol=0, atol=2 * 4 * 10 * 2.2e-16)


@pytest.mark.parametrize("gate, share", [(-1e4, 0.0), (1e4, 1.0)])
def test_a_gate_far_off_is_closed_or_open(gate, share):
    x, p = draw()
    fc1 = LinearParams(p.fc1.weight, np.array([0.0, 0, 0, gate, gate, gate]))
    p = GLUParams(fc1, LinearParams(np.eye(3), None))
    assert np.array_equal(glu(x, p)[0], share * (x @ p.fc1.weight)[..., :3])


def test_maps_that_do_not_fit_are_refused():
    x, p = draw()
    with pytest.raises(ValueError, match="x has 3 channels, but the weight takes 2"):
        glu(x, p._replace(fc2=LinearParams(p.fc2.weight[:2], None)))
