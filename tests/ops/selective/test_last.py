"""The closed form of the last position against the scan, and what it leaves out."""

import tracemalloc

import numpy as np
import pytest

import minimamba.ops.selective.last as module
from minimamba.ops.selective.last import selective_scan_last, selective_scan_last_backward
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward


def draw(seed, b=4, l=9, e=3, n=2, dtype=np.float64, speed=1.0):
    rng = np.random.default_rng(seed)
    u, delta, z = (rng.normal(size=(b, l, e)) for _ in range(3))
    B, C = (rng.normal(size=(b, l, n)) for _ in range(2))
    A, D, bias = -speed * np.exp(rng.normal(size=(e, n))), rng.normal(size=e), rng.normal(size=e)
    last = rng.permutation(np.arange(b) * (l - 1) // max(1, b - 1))
    arrays = [x.astype(dtype) for x in (u, delta, A, B, C, D, z, bias)]
    return arrays, last


def both(arrays, last):
    """Return the scan at `last`, the closed form, and a function for the gradients of each."""
    (u, delta, A, B, C, D, z, bias), rows = arrays, np.arange(len(last))
    full, _, c_full = selective_scan(u, delta, A, B, C, D, z, bias, True)
    read = C[rows, last], last, D, z[rows, last], bias, True
    mine, c_mine = selective_scan_last(u, delta, A, B, *read)

    def gradients(dy):
        scattered = np.zeros_like(full)
        scattered[rows, last] = dy
        expected = selective_scan_backward(scattered, None, c_full)
        found = selective_scan_last_backward(dy, c_mine)
        here = expected._replace(C=expected.C[rows, last], z=expected.z[rows, last])
        return {f: (getattr(found, f), getattr(here, f)) for f in found._fields}

    return full[rows, last], mine, gradients


@pytest.mark.parametrize("sizes", [{}, {"l": 1}, {"b": 1, "l": 30, "n": 1}, {"e": 1}])
def test_it_is_the_scan_at_the_last_position(sizes):
    arrays, last = draw(0, **sizes)
    expected, found, gradients = both(arrays, last)
    # The two differ by the rounding of some l + n sums and products of numbers near 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    for name, (mine, full) in gradients(np.random.default_rng(1).normal(size=found.shape)).items():
        np.testing.assert_allclose(mine, full, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("chunk", [6, 30, 10**6])
def test_the_size_of_a_chunk_changes_nothing_but_roundings(monkeypatch, chunk):
    arrays, last = draw(2)
    expected, _, _ = both(arrays, last)
    monkeypatch.setattr(module, "CHUNK", chunk)
    _, found, gradients = both(arrays, last)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    for name, (mine, full) in gradients(np.ones_like(found)).items():
        np.testing.assert_allclose(mine, full, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_states_that_are_left_out_were_below_the_smallest_normal_number(monkeypatch, dtype):
    arrays, last = draw(3, l=60, n=7, dtype=dtype, speed=30.0)
    monkeypatch.setattr(module, "CHUNK", 21)  # one position a chunk, so that much is left out
    expected, found, gradients = both(arrays, last)
    eps = np.finfo(dtype).eps
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=100 * eps * scale)
    for name, (mine, full) in gradients(np.ones_like(found)).items():
        bound = 1000 * eps * max(1, np.abs(full).max())  # sums of 4 x 60 x 7 terms
        np.testing.assert_allclose(mine, full, rtol=0, atol=bound, err_msg=name)


def test_some_states_are_really_left_out(monkeypatch):
    (u, _, A, *_), last = draw(3, l=60, n=7, speed=30.0)
    A = A * np.arange(1, 8)
    monkeypatch.setattr(module, "CHUNK", 21)
    ahead = np.cumsum(np.ones_like(u), axis=1)[:, ::-1] - 1
    widths = [states.stop for _, states in module._chunks(ahead, A, last)]
    assert min(widths) < 7 and max(widths) == 7


@pytest.mark.parametrize("name, place", [("delta", (0, -1, 0)), ("A", (0, -1)), ("A", (0, 0))])
def test_a_nan_is_seen_in_its_channel_and_in_no_other(monkeypatch, name, place):
    arrays, last = draw(5, b=1, l=20)
    last[:] = 19
    monkeypatch.setattr(module, "CHUNK", 6)  # one position a chunk, so that much may be left out
    clean, _, _ = both(arrays, last)
    arrays[["u", "delta", "A"].index(name)][place] = np.nan
    _, found, _ = both(arrays, last)
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found[0, 1:], clean[0, 1:], rtol=0, atol=1e-13)


@pytest.mark.parametrize("sizes", [{"b": 0}, {"e": 0}, {"n": 0}])
def test_empty_sizes_are_those_of_the_scan(sizes):
    arrays, last = draw(0, **sizes)
    expected, found, gradients = both(arrays, last)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    for name, (mine, full) in gradients(np.ones_like(found)).items():
        # A bias added to delta, a skip and a gate: sums of b l products of numbers near 1.
        np.testing.assert_allclose(mine, full, rtol=0, atol=1e-13, err_msg=name)


def test_states_that_grow_are_never_left_out():
    arrays, last = draw(4, l=40)
    arrays[2] = 0.3 * np.abs(arrays[2])  # A > 0: what is old counts most
    expected, found, _ = both(arrays, last)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_what_comes_after_the_last_position_is_not_read():
    (u, delta, A, B, C, D, z, bias), last = draw(5)
    rows, after = np.arange(len(last)), np.arange(u.shape[1]) > last[:, None]
    read = C[rows, last], last, D, z[rows, last], bias, True
    clean, _ = selective_scan_last(u, delta, A, B, *read)
    u, delta, B = (np.where(after[..., None], np.nan, x) for x in (u, delta, B))
    with np.errstate(invalid="ignore"):
        found, cache = selective_scan_last(np.nan_to_num(u), delta, A, np.nan_to_num(B), *read)
    np.testing.assert_array_equal(found, clean)
    assert np.isfinite(selective_scan_last_backward(np.ones_like(found), cache).A).all()


def test_options_that_are_not_given_have_no_gradient():
    (u, delta, A, B, C, *_), last = draw(6)
    y, cache = selective_scan_last(u, np.abs(delta), A, B, C[:, 0], last)
    grads = selective_scan_last_backward(np.ones_like(y), cache)
    assert grads.D is None and grads.z is None and grads.delta_bias is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"B": np.zeros((4, 9, 5))}, r"B has shape \(4, 9, 5\)"),
        ({"C": np.zeros((4, 9, 2))}, r"C has shape \(4, 9, 2\)"),
        ({"last": np.array([0, 1, 2, 9])}, r"last must lie in 0\.\.8, got values from 0 to 9"),
        ({"last": np.array([-1, 1, 2, 3])}, r"last must lie in 0\.\.8, got values from -1 to 3"),
        ({"last": np.zeros(4)}, "last must be integers, got dtype float64"),
        ({"A": -np.ones((3, 2), np.float32)}, "A has dtype float32 while u has float64"),
        ({"delta": np.ones((4, 9, 3)).tolist()}, "delta is a list, expected an array"),
    ],
)
def test_arguments_that_do_not_fit_are_named(change, message):
    (u, delta, A, B, C, *_), last = draw(0)
    inputs = {"u": u, "delta": delta, "A": A, "B": B, "C": C[:, 0], "last": last}
    with pytest.raises((ValueError, TypeError), match=message):
        selective_scan_last(**(inputs | change))


@pytest.mark.parametrize(
    "dy, message",
    [
        (np.ones((1, 3)), r"dy has shape \(1, 3\), expected \(b, e\) = \(4, 3\)"),
        (np.ones((4, 3), np.float32), "dy has dtype float32 while u has float64"),
    ],
)
def test_a_gradient_that_does_not_fit_is_named(dy, message):
    (u, delta, A, B, C, *_), last = draw(0)
    _, cache = selective_scan_last(u, delta, A, B, C[:, 0], last)
    with pytest.raises((ValueError, TypeError), match=message):
        selective_scan_last_backward(dy, cache)


@pytest.mark.parametrize("dtype, age", [(np.float32, 80.0), (np.float64, 700.0)])
def test_what_is_small_but_normal_is_not_left_out(monkeypatch, dtype, age):
    monkeypatch.setattr(module, "CHUNK", 1)  # a chunk each, so that it is judged by its own age
    u, delta = np.zeros((1, 2, 1), dtype), np.zeros((1, 2, 1), dtype)
    u[0, 0], delta[0] = 1, [[1], [age]]
    one = np.ones((1, 2, 1), dtype)
    y, _ = selective_scan_last(u, delta, -one[0, :1], one, one[:, 0], np.array([1]))
    # The rounding of the exponent, age * eps, is that of the result, relatively.
    np.testing.assert_allclose(y[0, 0], np.exp(-age), rtol=4 * age * np.finfo(dtype).eps)


def test_a_position_ahead_of_its_time_does_not_take_the_others_of_its_chunk_along():
    one = np.ones((1, 2, 1))
    delta = np.array([[[1.0], [-1000.0]]])  # A > 0: only the first has faded
    y, _ = selective_scan_last(one, delta, one[0, :1], one, one[:, 0], np.array([1]))
    assert y[0, 0] == -1000


def test_the_decays_of_all_positions_are_never_there_at_once(monkeypatch):
    arrays, last = draw(7, l=100, e=8, n=100)
    u, delta, A, B, C, D, z, bias = arrays
    last[:] = 99
    monkeypatch.setattr(module, "CHUNK", A.size)
    read = C[:, -1], last, D, z[:, -1], bias, True
    tracemalloc.start()
    y, cache = selective_scan_last(u, delta, A, B, *read)
    selective_scan_last_backward(y, cache)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < u.nbytes * A.shape[1] / 2  # half of (b, l, e, n)


def test_an_old_position_does_not_take_the_young_ones_of_its_chunk_along():
    one = np.ones((1, 2, 1))
    delta = np.array([[[1.0], [2000.0]]])  # the first position is 2000 old, the second 0
    y, _ = selective_scan_last(one, delta, -one[0, :1], one, one[:, 0], np.array([1]))
    assert y[0, 0] == 2000
