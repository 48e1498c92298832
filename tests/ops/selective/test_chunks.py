"""Chunks of a selective scan: their borders, their layouts, and the memory they take."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.ops._checks import overflow_is_inf
from minimamba.ops.selective import chunks
from minimamba.ops.selective import plan as plans
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from tests.ops.selective.selecting import draw, pull, require_scan


def other_strides(x):
    """Return equal arrays laid out differently: channels first, reversed, spread out."""
    spread = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
    spread[...] = x
    return [np.asfortranarray(x), np.flip(np.flip(x).copy()), spread]


def test_any_strides_are_taken_and_read_only_arrays_left_alone():
    x = draw(0, (3, 11, 4, 2), np.float32)
    dy, dh = pull(0, x)
    y, h_last, cache = selective_scan(**x)
    grads = selective_scan_backward(dy, dh, cache)
    for layout in range(3):
        strided = {
            k: v if k == "delta_softplus" else other_strides(v)[layout] for k, v in x.items()
        }
        for v in strided.values():
            if isinstance(v, np.ndarray):
                v.flags.writeable = False
        again, last, cache = selective_scan(**strided)
        pulled = selective_scan_backward(
            other_strides(dy)[layout], other_strides(dh)[layout], cache
        )
        assert np.array_equal(again, y) and np.array_equal(last, h_last)
        assert all(np.array_equal(g, k) for g, k in zip(pulled, grads, strict=True))


def peak(call):
    """Return the result of a call and the most it had allocated at a time, in bytes."""
    tracemalloc.start()
    result = call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, most


def nbytes(arrays):
    return sum(x.nbytes for x in arrays if isinstance(x, np.ndarray))


@pytest.mark.parametrize("sizes", [(2, 1024, 64, 16), (64, 20, 32, 8), (1, 3000, 8, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_what_the_formula_says(sizes, dtype):
    x = draw(0, sizes, dtype)
    (b, l, e, n), itemsize = sizes, np.dtype(dtype).itemsize
    promised = plans.memory(b, l, n, e, itemsize)
    (y, h_last, cache), forward = peak(lambda: selective_scan(**x))
    assert cache.borders.nbytes == promised.borders
    slack = 2**16  # Python's own objects
    forward -= nbytes((y, h_last)) + promised.borders
    assert 0.5 * promised.forward - slack <= forward <= promised.forward + slack
    grads, backward = peak(lambda: selective_scan_backward(y, h_last, cache))
    backward -= nbytes(grads)
    assert 0.5 * promised.backward - slack <= backward <= promised.backward + slack


def test_memory_stays_below_ten_mebibytes_and_the_borders_at_the_largest_shape():
    for itemsize in (4, 8):
        for b, l, e, n in [
            (1, 1024, 64, 16),
            (8, 200, 128, 32),
            (64, 50, 128, 32),
            (2, 4096, 256, 16),
        ]:
            promised = plans.memory(b, l, n, e, itemsize)
            assert max(promised.forward, promised.backward) < 10 * 2**20
            # and far below the (b, l, e, n) array that is never made
            assert l < 200 or promised.borders < b * l * e * n * itemsize / 6


@given(b=st.integers(0, 9), l=st.integers(0, 40), rows=st.integers(1, 4), steps=st.integers(1, 5))
@settings(max_examples=60)
def test_the_tiles_cover_every_row_and_every_step_once(b, l, rows, steps):
    plan = plans.Plan(rows, 3 * steps, steps)
    seen = np.zeros((b, l), int)
    for row, span, borders in plans.walk(b, l, plan):
        seen[row, span] += 1
        starts = [chunk.start for chunk in plans.slices(l, steps)][borders]
        inside = [s for s in range(span.start, span.stop) if s % steps == 0]
        assert starts[: len(inside)] == inside and borders.stop - borders.start == len(inside) + 1
    assert (seen == 1).all()


@given(l=st.integers(1, 9000), n=st.integers(1, 64), e=st.integers(1, 300))
@settings(max_examples=60)
def test_chunks_are_of_like_length_and_fit_the_cache(l, n, e):
    plan = plans.plan(4, l, n, e, 8)
    lengths = [chunk.stop - chunk.start for chunk in plans.slices(l, plan.steps)]
    assert max(lengths) - lengths[-1] < len(lengths)
    assert plan.steps == 1 or plan.rows * plan.steps * n * e * 8 <= plans.CHUNK_BYTES
    assert plan.span % plan.steps == 0


@given(b=st.integers(1, 99), l=st.integers(1, 9000), n=st.integers(1, 64), e=st.integers(1, 300))
@settings(max_examples=60)
def test_a_chunk_and_a_tile_are_as_large_as_they_may_be(b, l, n, e):
    rows, span, steps = plans.plan(b, l, n, e, 8)
    assert rows == b or (rows + 1) * n * e * 8 > plans.STATE_BYTES
    assert (span + steps) * rows * e * 8 > plans.TILE_BYTES
    count = len(plans.slices(l, steps))
    assert count == 1 or -(-l // (count - 1)) * rows * n * e * 8 > plans.CHUNK_BYTES


def test_the_work_arrays_of_a_chunk_have_room_for_it():
    work = plans.allocate(np, plans.Plan(3, 10, 5), 7, 3, np.float64, adjoint=True)
    assert [x.size for x in (work.a, work.h, work.g, work.state)] == [315, 378, 315, 63]
    assert plans.allocate(np, plans.Plan(3, 10, 5), 7, 3, np.float64, adjoint=False).g is None
    fitted = plans.fit(work, (2, 7, 3))  # the last two rows of a batch
    assert (fitted.a.shape, fitted.h.shape) == ((5, 2, 7, 3), (6, 2, 7, 3))
    assert np.shares_memory(fitted.g, work.g) and fitted.state.shape == (2, 7, 3)


def test_a_scan_leaves_the_buffer_size_of_numpy_as_it_was():
    before = np.getbufsize()
    x = draw(0, (2, 5, 3, 2))
    y, h_last, cache = selective_scan(**x)
    selective_scan_backward(y, h_last, cache)
    assert np.getbufsize() == before


def test_an_outer_product_is_exact_and_keeps_infinities_apart():
    """The rows of zeros must not turn an infinity, or anything else, into nan."""
    rng = np.random.default_rng(0)
    B, v = rng.standard_normal((2, 1, 5)), rng.standard_normal((2, 1, 7))
    B[0, 0, 1], v[0, 0, 2], v[1, 0, 3] = np.inf, -np.inf, 5e-324
    with overflow_is_inf(np):
        out = chunks.outer(chunks.above_zeros(B), chunks.above_zeros(v), np.empty((2, 1, 5, 7)))
        assert np.array_equal(out, B[..., None] * v[:, :, None, :])


# ---- what the tests above must catch ----


def test_a_carry_dropped_between_chunks_is_caught(monkeypatch):
    x = draw(0, (2, 9, 3, 2))
    monkeypatch.setattr(plans, "CHUNK_BYTES", 100)
    require_scan(x, *pull(0, x))
    states = chunks.states

    def forgetful(s, state, work):
        return states(s, 0 * state, work)

    monkeypatch.setattr(chunks, "states", forgetful)
    with pytest.raises(AssertionError, match="out"):
        require_scan(x, *pull(0, x))


def test_an_adjoint_carry_dropped_between_chunks_is_caught(monkeypatch):
    x = draw(0, (2, 9, 3, 2))
    monkeypatch.setattr(plans, "CHUNK_BYTES", 100)
    adjoint_states = chunks.adjoint_states

    def forgetful(dread, C, a, carry, work):
        carry[...] = 0
        return adjoint_states(dread, C, a, carry, work)

    monkeypatch.setattr(chunks, "adjoint_states", forgetful)
    with pytest.raises(AssertionError):
        require_scan(x, *pull(0, x))
