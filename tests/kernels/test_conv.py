"""The causal convolution kernels against the array code in float64."""

import numpy as np
import pytest

from minimamba.arrays import to_host
from minimamba.dispatch import using
from minimamba.kernels import conv
from minimamba.kernels.bfloat16 import from_bfloat16, to_bfloat16
from minimamba.ops.conv import (
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
    causal_conv1d_step,
)
from tests.emulator import ORDERS, Emulator
from tests.kernels.problems import BFLOAT16, check, double

TOLERANCE = 1e-6  # sums of a few terms
SIZES = [(1, 1, 1), (2, 2, 33), (1, 31, 3), (1, 127, 3), (2, 128, 31), (1, 129, 5), (1, 389, 33)]


def problem(b, l, e, k, seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    p = ConvParams(normal(e, k), normal(e))
    return normal(b, l, e), p, normal(b, k - 1, e), normal(b, l, e), normal(b, k - 1, e)


def check_conv(machine, x, p, state, dy, dstate, tolerance=TOLERANCE):
    y, last, cache = causal_conv1d(*double((x, p, state)))
    dx, dp, dstate0 = causal_conv1d_backward(*double((dy, dstate)), cache)
    terms = np.abs(dy).sum(axis=(0, 1))
    x, p, state, dy, dstate = machine.place((x, p, state, dy, dstate))
    got_y, got_last, cache = conv.forward(x, p, state)
    got_dx, got_dp, got_dstate0 = conv.backward(dy, dstate, cache)
    check(got_y, y, tolerance, "y")
    check(got_last, last, tolerance, "state")
    check(got_dx, dx, tolerance, "dx")
    check(got_dstate0, dstate0, tolerance, "dstate0")
    check(got_dp.weight, dp.weight, tolerance * 3, "dweight")  # sums over all steps
    if p.bias is None:
        assert got_dp.bias is None
    else:
        check(got_dp.bias, dp.bias, tolerance, "dbias", terms)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 4])
def test_every_number_is_that_of_float64(machine, k, order):
    with machine.running(order):
        for seed, (b, l, e) in enumerate(SIZES):
            x, p, state, dy, dstate = problem(b, l, e, k, seed)
            check_conv(machine, x, p, state, dy, dstate)
            check_conv(machine, x, p._replace(bias=None), None, dy, None)


def test_a_step_is_one_position_of_the_sequence(machine):
    x, p, state, _, _ = problem(3, 5, 33, 4)
    with machine.running():
        for t in range(5):
            y, after = conv.step(*machine.place((x[:, t], p, state)))
            want, want_after = causal_conv1d_step(*double((x[:, t], p, state)))
            check(y, want, TOLERANCE)
            state = to_host(after)
            np.testing.assert_array_equal(state, want_after)


def test_many_taps_and_empty_sequences_take_the_array_code(machine):
    with machine.running():
        for b, l, e, k in [(1, 50, 2, 33), (2, 0, 3, 4)]:
            x, p, state, _, _ = machine.place(problem(b, l, e, k))
            y, last, _ = conv.forward(x, p, state)
            with using(enabled=False):
                want, want_last, _ = causal_conv1d(x, p, state)
            np.testing.assert_array_equal(to_host(y), to_host(want))
            np.testing.assert_array_equal(to_host(last), to_host(want_last))


def test_bfloat16(machine):
    x, p, state, dy, _ = problem(2, 40, 33, 4)
    x, state, dy = map(to_bfloat16, (x, state, dy))
    exact = [from_bfloat16(v) for v in (x, state, dy)]
    y, _, cache = causal_conv1d(*double((exact[0], p, exact[1])))
    dx, _, _ = causal_conv1d_backward(double(exact[2]), None, cache)
    x, p, state, dy = machine.place((x, p, state, dy))
    with machine.running():
        got, _, cache = conv.forward(x, p, state)
        check(from_bfloat16(got), y, BFLOAT16)
        check(from_bfloat16(conv.backward(dy, None, cache)[0]), dx, BFLOAT16)


@pytest.mark.parametrize(
    "change,says",
    [
        ({"p": ConvParams(np.ones((2, 4), "f"), None)}, r"weight is \(2, 4\), expected \(3, 4\)"),
        ({"p": ConvParams(np.ones((3, 4), "f"), np.ones(2, "f"))}, "bias is"),
        ({"state": np.ones((1, 4, 3), "f")}, "state is"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_before_the_launch(change, says):
    x, p, state, _, _ = problem(1, 5, 3, 4)
    with using(loader=Emulator()), pytest.raises(ValueError, match=says):
        conv.forward(**({"x": x, "p": p, "state": state} | change))
