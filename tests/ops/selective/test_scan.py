"""The selective scan: fast, in chunks, and within the bound of its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.ops.selective import plan as plans
from minimamba.ops.selective.naive import selective_scan_step
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from minimamba.oracle.bound.tolerance import tolerance
from minimamba.oracle.truth import scan as truth
from tests.ops.selective.selecting import OPTIONS, REGIMES, draw, for_oracle, pull, require_scan

sizes = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 5), st.integers(1, 4))


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=sizes,
    dtype=st.sampled_from([np.float32, np.float64]),
    options=st.sets(st.sampled_from(OPTIONS)),
    softplus=st.booleans(),
    regime=st.sampled_from(REGIMES),
    chunk=st.sampled_from([1, 200, 1000, 2**20]),
)
@settings(max_examples=80)
def test_outputs_and_all_gradients_stay_within_the_bound(
    seed, sizes, dtype, options, softplus, regime, chunk
):
    x = draw(seed, sizes, dtype, options, softplus, regime)
    with pytest.MonkeyPatch.context() as patch:  # so small that there are many chunks
        patch.setattr(plans, "CHUNK_BYTES", chunk)
        patch.setattr(plans, "STATE_BYTES", max(1, chunk // 4))
        patch.setattr(plans, "TILE_BYTES", chunk)
        require_scan(x, *pull(seed, x))


def part(x, span):
    """Return the arguments of a stretch of time."""
    cut = {k: x[k][:, span] for k in ("u", "delta", "B", "C", "z")}
    return x | cut


@pytest.mark.parametrize("cut", [0, 1, 5, 12, 13])
def test_a_split_sequence_continues_from_its_state(cut):
    x = draw(0, (2, 13, 3, 2))
    first, middle, _ = selective_scan(**part(x, slice(0, cut)))
    second, h_last, _ = selective_scan(**part(x, slice(cut, 13)) | {"h0": middle})
    y, whole, _ = selective_scan(**x)
    bound = tolerance(truth.selective_scan, np.float64, **for_oracle(x))
    assert (np.abs(np.concatenate([first, second], 1) - y) <= 2 * bound["out"]).all()
    assert (np.abs(h_last - whole) <= 2 * bound["last_state"]).all()


def test_gradients_of_a_split_sequence_meet_in_its_state():
    x = draw(0, (2, 13, 3, 2))
    dy, dh = pull(0, x)
    whole = selective_scan_backward(dy, dh, selective_scan(**x)[2])
    _, middle, first = selective_scan(**part(x, slice(0, 6)))
    second = selective_scan(**part(x, slice(6, 13)) | {"h0": middle})[2]
    late = selective_scan_backward(dy[:, 6:], dh, second)
    early = selective_scan_backward(dy[:, :6], late.h0, first)
    bound = tolerance(truth.selective_scan, np.float64, **for_oracle(x), dout=dy, dlast_state=dh)
    joined = np.concatenate([early.u, late.u], axis=1)
    assert (np.abs(joined - whole.u) <= 2 * bound["du"]).all()
    assert (np.abs(early.A + late.A - whole.A) <= 2 * bound["dA"]).all()
    assert (np.abs(early.h0 - whole.h0) <= 2 * bound["dinitial_state"]).all()


def test_the_step_is_the_sequence():
    x = draw(0, (2, 9, 3, 2))
    y, h_last, _ = selective_scan(**x)
    bound = tolerance(truth.selective_scan, np.float64, **for_oracle(x))
    state = x["h0"]
    for t in range(9):
        token = (x["u"][:, t], x["delta"][:, t], x["A"], x["B"][:, t], x["C"][:, t], state)
        y_t, state = selective_scan_step(*token, x["D"], x["z"][:, t], x["delta_bias"], True)
        assert (np.abs(y_t - y[:, t]) <= 2 * bound["out"][:, t]).all()
    assert (np.abs(state - h_last) <= 2 * bound["last_state"]).all()


def test_the_gradient_of_the_last_state_may_be_left_out():
    x = draw(0, (2, 5, 3, 2))
    y, h_last, cache = selective_scan(**x)
    without = selective_scan_backward(np.ones_like(y), None, cache)
    zero = selective_scan_backward(np.ones_like(y), np.zeros_like(h_last), cache)
    assert all(np.array_equal(g, k) for g, k in zip(without, zero, strict=True))


@pytest.mark.parametrize("sizes", [(2, 0, 3, 2), (0, 4, 3, 2), (1, 1, 1, 1)])
def test_empty_and_single_sizes(sizes):
    x = draw(0, sizes)
    y, h_last, cache = selective_scan(**x)
    grads = selective_scan_backward(y, h_last, cache)
    assert y.shape == x["u"].shape and h_last.shape == x["h0"].shape
    assert all(getattr(grads, k).shape == x[k].shape for k in grads._fields)
    if not sizes[1]:
        assert np.array_equal(h_last, x["h0"]) and np.array_equal(grads.h0, h_last)


# ---- what the tests above must catch ----


@pytest.mark.parametrize("name", ["u", "delta", "A", "B", "C", "D", "z", "delta_bias", "h0"])
def test_a_gradient_wrong_by_a_millionth_is_caught(name):
    x = draw(0, (2, 9, 3, 2))

    def wrong(dy, dh_last, cache):
        grads = selective_scan_backward(dy, dh_last, cache)
        return grads._replace(**{name: getattr(grads, name) * (1 + 1e-6)})

    with pytest.raises(AssertionError, match=f"d{name}|dinitial_state"):
        require_scan(x, *pull(0, x), backward=wrong)


# ---- what it says to input that is wrong ----


def test_mismatched_shapes_name_the_argument_and_both_shapes():
    x = draw(0, (2, 5, 3, 2))
    for name, bad in [
        ("B", x["B"][:, 1:]),
        ("D", x["D"][1:]),
        ("h0", x["h0"][1:]),
        ("z", x["u"][1:]),
    ]:
        shape = rf"\({', '.join(map(str, bad.shape))},?\)"
        with pytest.raises(ValueError, match=rf"{name} has shape {shape}, expected .* to fit u"):
            selective_scan(**x | {name: bad})
    with pytest.raises(ValueError, match=r"u has shape \(5, 3\), expected \(b, l, e\)"):
        selective_scan(**x | {"u": x["u"][0]})
    y, h_last, cache = selective_scan(**x)
    with pytest.raises(ValueError, match="dh_last has shape"):
        selective_scan_backward(y, h_last[1:], cache)
    with pytest.raises(ValueError, match="state has shape"):
        t = (x["u"][:, 0], x["delta"][:, 0], x["A"], x["B"][:, 0], x["C"][:, 0])
        selective_scan_step(*t, h_last[1:])


def test_integers_and_mixed_dtypes_are_refused():
    x = draw(0, (2, 5, 3, 2))
    with pytest.raises(TypeError, match="delta has dtype int64"):
        selective_scan(**x | {"delta": x["delta"].astype(np.int64)})
    with pytest.raises(TypeError, match="A has dtype float32 while u has float64"):
        selective_scan(**x | {"A": x["A"].astype(np.float32)})


def test_nan_reaches_only_what_depends_on_it():
    x = draw(0, (2, 9, 3, 2))
    for name, reached in [("u", np.s_[0, 4:, 1]), ("B", np.s_[0, 4:]), ("C", np.s_[0, 4])]:
        bad = x[name].copy()
        bad[0, 4, 1] = np.nan
        y, _, _ = selective_scan(**x | {name: bad})
        expected = np.zeros(y.shape, bool)
        expected[reached] = True
        assert np.array_equal(np.isnan(y), expected), name


@pytest.mark.parametrize("chunk", [1, 2**20])
def test_nan_in_the_gradient_reaches_only_what_it_comes_from(chunk, monkeypatch):
    monkeypatch.setattr(plans, "CHUNK_BYTES", chunk)
    x = draw(0, (2, 9, 3, 2))
    dy, dh = pull(0, x)
    dy[0, 4, 1] = np.nan
    grads = selective_scan_backward(dy, dh, selective_scan(**x)[2])
    row, channel, earlier = np.s_[0, 4], np.s_[0, 4, 1], np.s_[0, :5]
    places = dict(u=np.s_[0, :5, 1], delta=np.s_[0, :5, 1], B=earlier, C=row, z=channel)
    places |= dict(A=np.s_[1], D=np.s_[1], delta_bias=np.s_[1], h0=np.s_[0, 1])
    for name, reached in places.items():
        expected = np.zeros(getattr(grads, name).shape, bool)
        expected[reached] = True
        assert np.array_equal(np.isnan(getattr(grads, name)), expected), name


def test_a_growing_system_overflows_to_inf_without_a_warning():
    x = draw(0, (1, 50, 2, 2), np.float32, regime="fast")
    x["A"] = -x["A"]
    y, h_last, cache = selective_scan(**x)  # warnings are errors here
    selective_scan_backward(np.ones_like(y), h_last, cache)
    assert not np.isfinite(h_last).any() and np.isfinite(y[:, 0]).all()
