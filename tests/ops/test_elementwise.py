"""The elementwise functions against exact arithmetic, out to where they saturate."""

from decimal import Decimal, localcontext
from math import erfc, sqrt

import numpy as np
import pytest

from minimamba.ops.elementwise import (
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
)

PAIRS = [
    (sigmoid, sigmoid_backward),
    (silu, silu_backward),
    (softplus, softplus_backward),
    (gelu, gelu_backward),
    (gelu_tanh, gelu_tanh_backward),
]
# Both tails, the bend at 0, and where exp(-|x|) passes the eps of float32 (16) and float64 (37).
POINTS = np.concatenate(
    [np.linspace(-80, 80, 641), [-0.0, 1e-30, -1e-30, -16.6, -17.3, -36.7, -37.4]]
)
both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def decimals(f, x):
    """Return f(Decimal) of every entry, from a hundred digits, in extended precision."""
    with localcontext() as context:
        context.prec = 100  # 1 + exp(-80) alone needs fifty
        return np.array([np.longdouble(str(f(Decimal(float(v))))) for v in x])


def worst(y, truth):
    """Return the largest relative error in units of the eps of y."""
    eps = np.finfo(y.dtype).eps
    error = np.abs(y.astype(np.longdouble) - truth)
    return float((error / (np.abs(truth) * eps + np.finfo(y.dtype).tiny)).max())


@both_precisions
def test_sigmoid_is_right_to_a_few_units_in_both_tails(dtype):
    x = POINTS.astype(dtype)
    truth = decimals(lambda v: 1 / (1 + (-v).exp()), x)
    # NumPy promises exp to 4 units; the sum and the quotient add half a unit each.
    assert worst(sigmoid(x)[0], truth) <= 5


@both_precisions
def test_softplus_is_right_to_a_few_units_in_both_tails(dtype):
    x = POINTS.astype(dtype)
    truth = decimals(lambda v: (1 + v.exp()).ln(), x)
    # exp 4 units, log 4 units, four sums, half a unit for the quotient that is left out.
    assert worst(softplus(x)[0], truth) <= 4 + 4 + 2 + 0.5


def test_softplus_minus_its_mirror_image_is_the_identity():
    x = np.linspace(-50, 50, 1001)
    difference = softplus(x)[0] - softplus(-x)[0]
    np.testing.assert_allclose(difference, x, rtol=0, atol=50 * 4 * np.finfo(float).eps)


def test_sigmoid_and_its_mirror_image_sum_to_one():
    x = np.linspace(-50, 50, 1001)
    total = sigmoid(x)[0] + sigmoid(-x)[0]
    np.testing.assert_allclose(total, 1, rtol=0, atol=6 * np.finfo(float).eps)


@both_precisions
def test_gelu_keeps_its_relative_accuracy_in_the_lower_tail(dtype):
    x = np.concatenate([np.linspace(-12, 12, 961), [-1e-9, 1e-9]]).astype(dtype)
    truth = np.array([v * erfc(-v / sqrt(2)) / 2 for v in x.astype(float)])
    eps = float(np.finfo(dtype).eps)
    # The rounding of x^2 / 2 in the exponent costs 1.5 x^2 units at most; exp 4, the sum of twelve
    # positive terms 12 (each a quotient and a sum), the products and the reference 4.
    allowed = (1.5 * x.astype(float) ** 2 + 4 + 12 + 4) * eps * np.abs(truth)
    assert (np.abs(gelu(x)[0] - truth) <= allowed + np.finfo(dtype).tiny).all()


def test_the_tanh_form_is_near_gelu_and_not_gelu():
    x = np.linspace(-10, 10, 2001)
    difference = np.abs(gelu_tanh(x)[0] - gelu(x)[0]).max()
    assert 4e-4 < difference < 5e-4  # its known distance is 4.7e-4


@pytest.mark.parametrize("op, backward", PAIRS)
@both_precisions
def test_the_largest_numbers_give_the_exact_limits(op, backward, dtype):
    largest = np.finfo(dtype).max
    y, cache = op(np.array([-largest, largest], dtype))
    slope = backward(np.ones(2, dtype), cache)
    if op is sigmoid:
        assert list(y) == [0, 1] and list(slope) == [0, 0]
    else:
        assert list(y) == [0, largest] and list(slope) == [0, 1]


@pytest.mark.parametrize("op, backward", PAIRS)
def test_nan_stays_nan(op, backward):
    y, cache = op(np.array([np.nan, 0.0]))
    assert list(np.isnan(y)) == [True, False]
    assert list(np.isnan(backward(np.ones(2), cache))) == [True, False]


@pytest.mark.parametrize("op, backward", PAIRS)
def test_single_precision_has_the_slope_of_double_precision(op, backward):
    x = np.linspace(-30, 30, 601)
    slopes = [backward(np.ones(601, t), op(x.astype(t))[1]) for t in (np.float32, np.float64)]
    # x itself moves by half a unit; no slope here changes by more than 1.2 |x| times that.
    np.testing.assert_allclose(*slopes, rtol=0, atol=30 * np.finfo(np.float32).eps)
