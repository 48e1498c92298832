"""The clever ways fail where they are said to fail, and the library does not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from minimamba.ops.recurrence import recurrence
from minimamba.oracle.bound.tolerance import recurrence_bound

path = Path(__file__).parents[2] / "tutorials" / "counterexamples.py"
spec = importlib.util.spec_from_file_location("counterexamples", path)
wrong = importlib.util.module_from_spec(spec)
spec.loader.exec_module(wrong)


def share(h, a, b, h0):
    """Return the largest error over its bound; inf where it is not a number."""
    exact, _ = recurrence(*(x.astype(np.longdouble) for x in (a, b, h0)))
    error = np.abs(h - exact) / recurrence_bound(a, b, h0, b.dtype)
    return float(np.where(np.isnan(error), np.inf, error).max())


RATIOS = [wrong.ratio, wrong.ratio_in_log_space, wrong.ratio_with_epsilon]


@pytest.mark.parametrize("method", RATIOS)
def test_each_is_right_in_exact_arithmetic(method):
    a, b, h0 = (x[:, :5] if x.ndim == 2 else x for x in wrong.breaking_input(np.float64))
    assert share(method(a, b, h0), a, b, h0) < 1e9  # 1e-7: what the epsilon leaves of five steps


@pytest.mark.parametrize("method", RATIOS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # they divide by zero: that is the point
def test_ratios_break_on_a_usual_initialization(method):
    a, b, h0 = wrong.breaking_input()
    assert share(method(a, b, h0), a, b, h0) > 1000
    assert share(recurrence(a, b, h0)[0], a, b, h0) <= 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_how_they_break():
    a, b, h0 = wrong.breaking_input()
    assert np.isnan(wrong.ratio(a, b, h0)).any()
    assert np.isnan(wrong.ratio_in_log_space(-a, b, h0)).any()
    finite = wrong.ratio_with_epsilon(a, b, h0)
    assert np.isfinite(finite).all() and finite[0, -1] < 0.01 < recurrence(a, b, h0)[0][0, -1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_states_cannot_be_recomputed_from_the_last():
    a, b, h0 = wrong.breaking_input()
    h, _ = recurrence(a, b, h0)
    assert np.abs(wrong.states_backwards(a, b, h[:, -1]) - h).max() > 1e6


def test_a_difference_has_no_digit_left_where_the_past_is_forgotten():
    a, b, h0 = wrong.forgetful_input()
    h, _ = recurrence(a, b, h0)
    by_product, by_difference = a[0, 1] * h[0, 0], wrong.decay_by_difference(a, b, h0)[0, 1]
    assert by_product == np.float32(1e-8) and by_difference == 0
