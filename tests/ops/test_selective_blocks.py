"""Blocks of a selective scan: their borders, their layouts, and the memory they take."""

import tracemalloc

import numpy as np
import pytest

from minimamba.ops import selective_blocks as blocks
from minimamba.ops.selective import selective_scan, selective_scan_backward
from tests.ops.selecting import draw, pull, require_scan


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
    promised = blocks.memory(b, l, n, e, itemsize)
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
            promised = blocks.memory(b, l, n, e, itemsize)
            assert max(promised.forward, promised.backward) < 10 * 2**20
            # and far below the (b, l, e, n) array that is never made
            assert l < 200 or promised.borders < b * l * e * n * itemsize / 8


# ---- what the tests above must catch ----


def test_a_carry_dropped_between_blocks_is_caught(monkeypatch):
    x = draw(0, (2, 9, 3, 2))
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    require_scan(x, *pull(0, x))
    run = blocks.run

    def forgetful(x, step, state, work):
        return run(x, step, 0 * state, work)

    monkeypatch.setattr(blocks, "run", forgetful)
    with pytest.raises(AssertionError, match="out"):
        require_scan(x, *pull(0, x))


def test_an_adjoint_carry_dropped_between_blocks_is_caught(monkeypatch):
    x = draw(0, (2, 9, 3, 2))
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    run = blocks.run_adjoint

    def forgetful(dy, x, a, carry, work):
        carry[...] = 0
        return run(dy, x, a, carry, work)

    monkeypatch.setattr(blocks, "run_adjoint", forgetful)
    with pytest.raises(AssertionError):
        require_scan(x, *pull(0, x))
