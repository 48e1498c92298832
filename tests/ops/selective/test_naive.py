"""The selective scan by its definition, in every schedule: what the fast one is held to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.ops.recurrence import blelloch, chunked, hillis_steele, sequential
from minimamba.ops.selective.naive import (
    selective_scan_naive,
    selective_scan_naive_backward,
    selective_scan_step,
)
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from minimamba.oracle.bound.tolerance import tolerance
from minimamba.oracle.truth import scan as truth
from tests.ops.selective.selecting import OPTIONS, REGIMES, draw, for_oracle, pull, require_scan

SCHEDULES = [sequential, hillis_steele, blelloch, chunked(1), chunked(3), chunked(64)]
sizes = st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 4), st.integers(0, 4))


def in_order(x, dy, dh_last, forward, backward):
    """Return outputs and gradients of the definition, by name."""
    y, h_last, cache = selective_scan_naive(**x, schedule=forward)
    grads = selective_scan_naive_backward(dy, dh_last, cache, schedule=backward)
    return {"out": y, "last_state": h_last} | grads._asdict()


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(*[st.integers(1, most) for most in (3, 20, 4, 4)]),
    dtype=st.sampled_from([np.float32, np.float64]),
    options=st.sets(st.sampled_from(OPTIONS)),
    softplus=st.booleans(),
    regime=st.sampled_from(REGIMES),
    schedule=st.sampled_from(SCHEDULES),
)
@settings(max_examples=60)
def test_outputs_and_all_gradients_stay_within_the_bound_in_every_schedule(
    seed, sizes, dtype, options, softplus, regime, schedule
):
    x = draw(seed, sizes, dtype, options, softplus, regime)

    def scan(**x):
        return selective_scan_naive(**x, schedule=schedule)

    def backward(dy, dh_last, cache):
        return selective_scan_naive_backward(dy, dh_last, cache, schedule)

    require_scan(x, *pull(seed, x), scan, backward)


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=sizes,
    options=st.sets(st.sampled_from(OPTIONS)),
    softplus=st.booleans(),
    regime=st.sampled_from(REGIMES),
    with_last=st.booleans(),
    schedules=st.tuples(st.sampled_from(SCHEDULES), st.sampled_from(SCHEDULES)),
)
@settings(max_examples=60)
def test_the_fast_scan_and_all_its_gradients_are_those_of_the_definition(
    seed, sizes, options, softplus, regime, with_last, schedules
):
    x = draw(seed, sizes, np.float64, options, softplus, regime)
    dy, dh_last = pull(seed, x)
    dh_last = dh_last if with_last else None
    want = in_order(x, dy, dh_last, *schedules)
    y, h_last, cache = selective_scan(**x)
    got = {"out": y, "last_state": h_last}
    got |= selective_scan_backward(dy, dh_last, cache)._asdict()
    assert got.keys() == want.keys()
    cotangents = {"dout": dy, "dlast_state": np.zeros_like(h_last) if dh_last is None else dh_last}
    bound = tolerance(truth.selective_scan, np.float64, **for_oracle(x), **cotangents)
    for name, value in got.items():
        if value is None:
            assert want[name] is None and x[name] is None
            continue
        key = {"h0": "dinitial_state"}.get(name, name if name in bound else f"d{name}")
        assert value.shape == want[name].shape and value.dtype == want[name].dtype
        assert (np.abs(value - want[name]) <= 2 * bound[key]).all(), name  # both may err


def test_backward_may_take_another_schedule_than_forward():
    x = draw(0, (2, 11, 3, 2))
    dy, dh_last = pull(0, x)
    bound = tolerance(
        truth.selective_scan, np.float64, **for_oracle(x), dout=dy, dlast_state=dh_last
    )
    one = in_order(x, dy, dh_last, sequential, blelloch)
    two = in_order(x, dy, dh_last, chunked(4), hillis_steele)
    assert (np.abs(one["A"] - two["A"]) <= 2 * bound["dA"]).all()
    assert (np.abs(one["h0"] - two["h0"]) <= 2 * bound["dinitial_state"]).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_steps_pass_the_state_and_its_gradient_through(schedule):
    x = draw(0, (2, 0, 3, 2))
    dy, dh_last = pull(0, x)
    found = in_order(x, dy, dh_last, schedule, schedule)
    assert np.array_equal(found["last_state"], x["h0"]) and np.array_equal(found["h0"], dh_last)
    assert not found["A"].any() and found["u"].shape == (2, 0, 3)
    assert not in_order(x, dy, None, schedule, schedule)["h0"].any()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_states_only_skip_and_gate_are_left(schedule):
    x = draw(0, (2, 4, 3, 0))
    found = in_order(x, *pull(0, x), schedule, schedule)
    gate = x["z"] / (1 + np.exp(-x["z"]))
    assert np.allclose(found["out"], x["D"] * x["u"] * gate, rtol=1e-14, atol=0)
    assert found["A"].shape == (3, 0) and not found["delta"].any()


def test_the_steps_are_the_sequence():
    x = draw(0, (2, 9, 3, 2))
    y, h_last, _ = selective_scan_naive(**x)
    bound = tolerance(truth.selective_scan, np.float64, **for_oracle(x))
    state = x["h0"]
    for t in range(9):
        token = (x["u"][:, t], x["delta"][:, t], x["A"], x["B"][:, t], x["C"][:, t], state)
        y_t, state = selective_scan_step(*token, x["D"], x["z"][:, t], x["delta_bias"], True)
        assert (np.abs(y_t - y[:, t]) <= 2 * bound["out"][:, t]).all()
    assert (np.abs(state - h_last) <= 2 * bound["last_state"]).all()


# ---- what the tests above must catch ----


@pytest.mark.parametrize("name", ["u", "delta", "A", "B", "C", "D", "z", "delta_bias", "h0"])
def test_a_gradient_wrong_by_a_millionth_is_caught(name):
    x = draw(0, (2, 9, 3, 2))

    def wrong(dy, dh_last, cache):
        grads = selective_scan_naive_backward(dy, dh_last, cache)
        return grads._replace(**{name: getattr(grads, name) * (1 + 1e-6)})

    with pytest.raises(AssertionError, match=f"d{name}|dinitial_state"):
        require_scan(x, *pull(0, x), selective_scan_naive, wrong)


# ---- what it says to input that is wrong ----


def test_mismatched_shapes_and_dtypes_are_refused_as_by_the_fast_scan():
    x = draw(0, (2, 5, 3, 2))
    with pytest.raises(ValueError, match=r"B has shape \(2, 4, 2\), expected .* to fit u"):
        selective_scan_naive(**x | {"B": x["B"][:, 1:]})
    with pytest.raises(TypeError, match="A has dtype float32 while u has float64"):
        selective_scan_naive(**x | {"A": x["A"].astype(np.float32)})
    y, h_last, cache = selective_scan_naive(**x)
    with pytest.raises(ValueError, match="dh_last has shape"):
        selective_scan_naive_backward(y, h_last[1:], cache)


def test_a_growing_system_overflows_to_inf_without_a_warning():
    x = draw(0, (1, 50, 2, 2), np.float32, regime="fast")
    x["A"] = -x["A"]
    y, h_last, cache = selective_scan_naive(**x)  # warnings are errors here
    selective_scan_naive_backward(np.ones_like(y), h_last, cache)
    assert not np.isfinite(h_last).any() and np.isfinite(y[:, 0]).all()
