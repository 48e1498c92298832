"""Arrays of no numbers, and gradients that do not fit: nothing is launched over them."""

import numpy as np
import pytest

from minimamba.ops.conv import ConvParams, causal_conv1d, causal_conv1d_backward, causal_conv1d_step
from tests.kernels.problems import selective_problem
from tests.kernels.test_dispatch import (
    both,
    convolve,
    last_problem,
    normal,
    on_device,
    read_at,
    require_launches,
    scan,
)

pytestmark = pytest.mark.usefixtures("cupy")


@pytest.mark.parametrize("sizes", [(0, 5, 3, 2), (2, 5, 0, 2), (2, 0, 3, 2)])
def test_empty_arrays_launch_nothing(sizes):
    (x, h0, dy, dh_last), (b, l, e, _) = selective_problem(*sizes), sizes
    both(scan, (x, h0, dy, dh_last), 2)
    both(
        convolve, (normal(b, l, e), ConvParams(normal(e, 4), None), None, normal(b, l, e), None), 2
    )
    if b * e == 0:
        inputs, _, dy = last_problem(*sizes)
        both(read_at(lambda u: np.zeros(b, int), True), (*inputs, dy), 1)
        both(causal_conv1d_step, (normal(b, e), ConvParams(normal(e, 4), None), normal(b, 3, e)), 2)
    require_launches({})


def test_without_states_the_array_code_runs():
    both(scan, selective_problem(2, 5, 3, 0), 2)
    inputs, last, dy = last_problem(2, 5, 3, 0)
    both(read_at(lambda u: last, True), (*inputs, dy), 1)
    require_launches({})


@pytest.mark.parametrize(
    "dy,dstate,says",
    [
        ((2, 9, 2), None, r"dy is \(2, 9, 2\), expected \(2, 9, 3\)"),
        ((1, 9, 3), None, r"dy is \(1, 9, 3\), expected \(2, 9, 3\)"),
        ((2, 9, 3), (2, 4, 3), r"dstate is \(2, 4, 3\), expected \(2, 3, 3\)"),
    ],
)
def test_a_gradient_that_does_not_fit_is_not_read_past_its_end(dy, dstate, says):
    dstate = None if dstate is None else on_device(normal(*dstate))
    *_, cache = causal_conv1d(*on_device((normal(2, 9, 3), ConvParams(normal(3, 4), None))))
    with pytest.raises(ValueError, match=f"causal_conv1d: {says}"):
        causal_conv1d_backward(on_device(normal(*dy)), dstate, cache)
