"""The recurrence: one set of states whatever the schedule, within the bound and not a tolerance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    combine,
    hillis_steele,
    recurrence,
    recurrence_backward,
    recurrence_step,
    sequential,
)
from minimamba.oracle.bound.tolerance import recurrence_bound, tolerance
from minimamba.oracle.truth import arithmetic
from minimamba.oracle.truth import scan as truth
from tests.ops.drawing import DTYPES, decays, drives, dtypes, lengths, normal, seeds, sequences

SCHEDULES = {
    "sequential": sequential,
    "hillis_steele": hillis_steele,
    "blelloch": blelloch,
    "chunked(1)": chunked(1),
    "chunked(7)": chunked(7),
    "chunked(64)": chunked(64),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def overshoot(h, a, b, h0, q=None):
    """Return the largest error in units of its bound: at most 1 for a right schedule."""
    exact = arithmetic.exact(truth.recurrence, a=a, b=b, h0=h0)["h"]
    bound = recurrence_bound(a, b, h0, b.dtype, q=q)
    with np.errstate(invalid="ignore"):
        share = np.abs(h.astype(exact.dtype) - exact) / np.where(bound > 0, bound, 1)
    return float(share.max(initial=0.0))


def require_states(schedule, a, b, h0):
    h, _ = recurrence(a, b, h0, schedule)
    assert h.shape == b.shape and h.dtype == b.dtype
    assert overshoot(h, a, b, h0) <= 1


@given(seed=seeds, l=lengths, dtype=dtypes)
@settings(max_examples=50)
def test_every_schedule_gives_the_states_within_the_bound(seed, l, dtype):
    a, b, h0 = sequences(seed, l, dtype)
    exact = arithmetic.exact(truth.recurrence, a=a, b=b, h0=h0)["h"]
    bound = recurrence_bound(a, b, h0, dtype)
    for name, schedule in SCHEDULES.items():
        h, _ = recurrence(a, b, h0, schedule)
        assert h.shape == b.shape and h.dtype == b.dtype
        assert (np.abs(h - exact) <= bound).all(), name


@pytest.mark.parametrize("l", [0, 1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@every_schedule
def test_the_shortest_lengths(schedule, dtype, l):
    require_states(schedule, *sequences(5, l, dtype))


@given(seed=seeds, l=st.integers(0, 70), dtype=dtypes, data=st.data())
@settings(max_examples=40)
def test_a_split_sequence_continues_from_its_state(seed, l, dtype, data):
    a, b, h0 = sequences(seed, l, dtype)
    cut = data.draw(st.integers(0, l), "cut")
    schedule = data.draw(st.sampled_from(list(SCHEDULES.values())), "schedule")
    first, _ = recurrence(a[:, :cut], b[:, :cut], h0, schedule)
    middle = first[:, -1] if cut else h0
    second, _ = recurrence(a[:, cut:], b[:, cut:], middle, schedule)
    joined = np.concatenate([first, second], axis=1)
    assert overshoot(joined, a, b, h0) <= 1  # the split is one more order of the same operations


@given(seed=seeds, l=st.integers(1, 40), dtype=dtypes)
@settings(max_examples=20)
def test_the_step_is_the_sequence(seed, l, dtype):
    a, b, h = sequences(seed, l, dtype)
    states, _ = recurrence(a, b, h)
    for t in range(l):
        h = recurrence_step(a[:, t], b[:, t], h)
        assert np.array_equal(h, states[:, t])


@every_schedule
def test_time_may_run_backwards_and_axes_may_be_of_any_number(schedule):
    rng = np.random.default_rng(0)
    a, b = decays(rng, (2, 13, 3, 2, 2), np.float64), drives(rng, (2, 13, 3, 2, 2), np.float64)
    h0 = drives(rng, (2, 3, 2, 2), np.float64)
    h = recurrence(a[:, ::-1], b[:, ::-1], h0, schedule)[0][:, ::-1]
    expected = h0
    for t in reversed(range(13)):
        expected = a[:, t] * expected + b[:, t]
        bound = recurrence_bound(a, b, h0, np.float64, reverse=True)[:, t]
        assert (np.abs(h[:, t] - expected) <= 2 * bound).all()  # both sides err
    flat, _ = recurrence(a[..., 0, 0, 0], b[..., 0, 0, 0], h0[..., 0, 0, 0], schedule)
    assert flat.shape == (2, 13)


def tangent(a, b, h0, va, vb, v0):
    """Return the exact derivative of the states along (va, vb, v0): the recurrence is bilinear."""
    h, v, moved = h0, v0, np.empty_like(b)
    for t in range(b.shape[1]):
        v = va[:, t] * h + a[:, t] * v + vb[:, t]
        h = a[:, t] * h + b[:, t]
        moved[:, t] = v
    return moved


def inner(x, y):
    """Return Re<x, y> and the size of its terms."""
    terms = (x.conj() * y).real
    return terms.sum(), np.abs(terms).sum()


def require_adjoint(backward, schedule, dtype, l, seed=0):
    """<dh, tangent> == <gradients, direction> to 1e-12 of the terms, one input after the other."""
    rng = np.random.default_rng([seed, l])
    shapes = (2, l, 3), (2, l, 3), (2, 3)
    a, b, h0 = (normal(rng, shape, dtype) for shape in shapes)
    a *= 0.6
    h, cache = recurrence(a, b, h0, schedule)
    dh = normal(rng, h.shape, dtype)
    gradients = backward(dh, cache, schedule)
    for i, shape in enumerate(shapes):
        direction = [np.zeros(s, dtype) for s in shapes]
        direction[i] = normal(rng, shape, dtype)
        left, size = inner(dh, tangent(a, b, h0, *direction))
        right, other = inner(gradients[i], direction[i])
        assert abs(left - right) <= 1e-12 * (size + other), ("a", "b", "h0")[i]


@pytest.mark.parametrize("l", [0, 1, 2, 3, 7, 64, 129])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@every_schedule
def test_the_backward_is_the_adjoint_of_the_exact_tangent(schedule, dtype, l):
    require_adjoint(recurrence_backward, schedule, dtype, l)


@given(seed=seeds, l=st.integers(1, 130), dtype=dtypes)
@settings(max_examples=30)
def test_gradients_stay_within_their_bound(seed, l, dtype):
    a, b, h0 = sequences(seed, l, dtype)
    dh = drives(np.random.default_rng(seed), b.shape, dtype)
    inputs = dict(a=a, b=b, h0=h0, dh=dh)
    exact, bound = (
        arithmetic.exact(truth.recurrence, **inputs),
        tolerance(truth.recurrence, dtype, **inputs),
    )
    for schedule in SCHEDULES.values():
        grads = recurrence_backward(dh, recurrence(a, b, h0, schedule)[1], schedule)
        for name, grad in zip(("da", "db", "dh0"), grads, strict=True):
            assert (np.abs(grad - exact[name]) <= bound[name]).all(), name


# ---- what the tests above must catch ----


def swapped(earlier, later):
    return combine(later, earlier)


def carry_dropped(a, b, h0):
    return sequential(a, b, np.zeros_like(h0))


def carry_dropped_inside(a, b, h0):
    half = b.shape[1] // 2
    first = sequential(a[:, :half], b[:, :half], h0)
    return np.concatenate([first, sequential(a[:, half:], b[:, half:], 0 * h0)], axis=1)


def one_step_late(a, b, h0):
    return sequential(np.roll(a, 1, axis=1), b, h0)


def conjugate_missing(dh, cache, schedule):
    return recurrence_backward(dh, cache._replace(a=cache.a.conj()), schedule)


def conjugate_of_the_state_missing(dh, cache, schedule):
    return recurrence_backward(dh, cache._replace(h=cache.h.conj(), h0=cache.h0.conj()), schedule)


@pytest.mark.parametrize("wrong", [carry_dropped, carry_dropped_inside, one_step_late])
def test_a_wrong_order_of_work_is_caught(wrong):
    with pytest.raises(AssertionError):
        require_states(wrong, *sequences(1, 9, np.float32))


@pytest.mark.parametrize("schedule", [hillis_steele, blelloch, chunked(3)])
def test_swapped_operands_are_caught(schedule, monkeypatch):
    require_states(schedule, *sequences(1, 9, np.float32))
    monkeypatch.setattr("minimamba.ops.recurrence.combine", swapped)
    with pytest.raises(AssertionError):
        require_states(schedule, *sequences(1, 9, np.float32))


@pytest.mark.parametrize("wrong", [conjugate_missing, conjugate_of_the_state_missing])
def test_a_missing_conjugate_is_caught(wrong):
    require_adjoint(wrong, sequential, np.float64, 5)  # of real numbers nothing is missing
    with pytest.raises(AssertionError):
        require_adjoint(wrong, sequential, np.complex128, 5)


# ---- what it says to input that is wrong ----


def test_mismatched_shapes_are_named():
    a, b, h0 = sequences(0, 4, np.float64)
    with pytest.raises(ValueError, match=r"a has shape \(2, 3, 3\), expected .* \(2, 4, 3\)"):
        recurrence(a[:, 1:], b, h0)
    with pytest.raises(ValueError, match=r"h0 has shape \(2, 2\), expected \(2, 3\)"):
        recurrence(a, b, h0[:, 1:])
    with pytest.raises(ValueError, match=r"b has shape \(2,\), expected \(b, l, ...\)"):
        recurrence(h0[:, 0], h0[:, 0], h0)
    with pytest.raises(ValueError, match=r"dh has shape \(2, 3, 3\), expected .* \(2, 4, 3\)"):
        recurrence_backward(a[:, 1:], recurrence(a, b, h0)[1])
    with pytest.raises(ValueError, match="k is 0"):
        chunked(0)


def test_integers_and_mixed_dtypes_are_refused():
    a, b, h0 = sequences(0, 4, np.float64)
    with pytest.raises(TypeError, match="b has dtype int64, expected floating or complex"):
        recurrence(a, np.ones_like(b, dtype=np.int64), h0)
    with pytest.raises(TypeError, match="h0 has dtype float32 while a has float64"):
        recurrence(a, b, h0.astype(np.float32))
    with pytest.raises(TypeError, match="h0 is a float, expected an array"):
        recurrence(a, b, 0.0)


@every_schedule
def test_nan_reaches_only_what_depends_on_it(schedule):
    rng = np.random.default_rng(0)
    a, b, h0 = (normal(rng, s, np.float64) for s in ((2, 9, 3), (2, 9, 3), (2, 3)))
    b[0, 4, 1] = np.nan
    h, _ = recurrence(a, b, h0, schedule)
    reached = np.zeros(b.shape, bool)
    reached[0, 4:, 1] = True
    assert np.array_equal(np.isnan(h), reached)


@every_schedule
def test_overflow_is_inf_and_no_warning(schedule):
    a, b, h0 = np.full((1, 2000), 10.0), np.ones((1, 2000)), np.zeros(1)
    h, cache = recurrence(a, b, h0, schedule)  # warnings are errors here
    assert h[0, 10] > 1e9 and not np.isfinite(h[0, -1])
    recurrence_backward(np.ones_like(h), cache, schedule)


@every_schedule
def test_read_only_and_strided_arrays_are_taken_and_left_alone(schedule):
    a, b, h0 = sequences(3, 12, np.float64)
    strided = [np.asfortranarray(x)[..., ::-1] for x in (a, b, h0)]
    before = [x.copy() for x in strided]
    for x in strided:
        x.flags.writeable = False
    h, cache = recurrence(*strided, schedule)
    recurrence_backward(h, cache, schedule)
    assert np.array_equal(h, recurrence(*before, schedule)[0])
    assert all(np.array_equal(x, y) for x, y in zip(strided, before, strict=True))


@pytest.mark.parametrize("schedule", [sequential, hillis_steele, blelloch, chunked(4)])
def test_a_product_of_decays_may_underflow_before_it_meets_a_large_state(schedule):
    a = np.array([[1, 1.3e-20, 1.7e-21, 1]], np.float32)
    b, h0 = np.zeros_like(a), np.array([3e30], np.float32)
    exact = h0 * np.cumprod(a.astype(np.float64), axis=1)
    h, _ = recurrence(a, b, h0, schedule)
    assert (np.abs(h - exact) <= recurrence_bound(a, b, h0, np.float32)).all()
