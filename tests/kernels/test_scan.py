"""The ladder: each rung of `scan.cu` gives what the rung below gives, and what its twin gives."""

from functools import partial

import numpy as np
import pytest

from minimamba.arrays import to_host
from minimamba.dispatch import using
from minimamba.kernels import scan
from minimamba.ops import recurrence as ops
from tests.emulator import ORDERS, Emulator
from tests.kernels.problems import relative

LADDER = {
    "serial": scan.serial,
    "hillis_steele": scan.hillis_steele,
    "blelloch": scan.blelloch,
    "warp": scan.warp,
    "block": scan.block,
    "grid": partial(scan.grid, chunk=70),
}
RUNGS = list(zip(list(LADDER)[1:], list(LADDER), strict=False))
DTYPES = ("float32", "float64", "complex64", "complex128")
SHAPES = [(1, 1), (3, 2), (1, 63, 2), (2, 64), (1, 65, 3), (1, 197), (1, 0), (2, 3, 2, 2)]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """64 threads a block, so that short sequences have several tiles."""
    monkeypatch.setattr(scan, "THREADS", 64)


def problem(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)

    def normal(shape):
        x = rng.standard_normal(shape)
        return x + 1j * rng.standard_normal(shape) if dtype[0] == "c" else x

    a = normal(shape)
    a = a / (1 + abs(a)) * 1.05  # some grow
    return (
        a.astype(dtype),
        normal(shape).astype(dtype),
        normal((shape[0], *shape[2:])).astype(dtype),
    )


def rounding(dtype, l):
    """Return the room between two orders of the same sum: a few roundings for each doubling."""
    return 4 * (2 + np.log2(1 + l)) * np.finfo(dtype).eps


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rung,below", RUNGS, ids=[f"{r}-{b}" for r, b in RUNGS])
def test_each_rung_equals_the_rung_below(machine, rung, below, dtype, order):
    for shape in SHAPES:
        a, b, h0 = machine.place(problem(shape, dtype))
        with machine.running(order):
            for reverse in (False, True):
                got = LADDER[rung](a, b, h0, reverse=reverse)
                want = LADDER[below](a, b, h0, reverse=reverse)
                assert got.shape == b.shape and got.dtype == b.dtype
                assert relative(got, want) <= rounding(dtype, shape[1]), (shape, reverse)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rung", LADDER)
def test_every_rung_equals_the_recurrence_in_higher_precision(machine, rung, dtype):
    wide = "complex128" if dtype[0] == "c" else "float64"
    for shape in SHAPES:
        a, b, h0 = problem(shape, dtype)
        want = ops.sequential(*(x.astype(wide) for x in (a, b, h0)))
        a, b, h0 = machine.place((a, b, h0))
        with machine.running():
            assert relative(LADDER[rung](a, b, h0), want) <= rounding(dtype, shape[1])


@pytest.mark.parametrize("name", ["serial", "hillis_steele"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rung_and_its_twin_in_array_code_give_the_same_bits(name, dtype):
    """The same operations in the same order; the twin of `serial` is `sequential`."""
    twin = {"serial": ops.sequential, "hillis_steele": ops.hillis_steele}[name]
    for shape in [(1, 64), (2, 37, 2)]:  # one tile: beyond it the kernel starts anew from a state
        a, b, h0 = problem(shape, dtype)
        with using(loader=Emulator()):
            np.testing.assert_array_equal(LADDER[name](a, b, h0), twin(a, b, h0))


TWINS = {"blelloch": ops.blelloch, "warp": ops.chunked(32), "block": ops.chunked(64)}


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_other_rungs_give_what_their_twins_give(name, dtype):
    for shape in SHAPES:
        a, b, h0 = problem(shape, dtype)
        with using(loader=Emulator()):
            got = LADDER[name](a, b, h0)
        assert relative(got, TWINS[name](a, b, h0)) <= rounding(dtype, shape[1]), shape


def test_reverse_is_the_scan_of_the_reversed_sequence(machine):
    a, b, h0 = machine.place(problem((2, 131, 2), "float64"))
    for rung in LADDER.values():
        with machine.running():
            turned = rung(a[:, ::-1], b[:, ::-1], h0)[:, ::-1]
            there = rung(a, b, h0, reverse=True)
        np.testing.assert_array_equal(to_host(there), to_host(turned))


@pytest.mark.parametrize("rung", LADDER)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_rung_serves_as_a_schedule_of_the_recurrence_and_of_its_adjoint(machine, rung, dtype):
    a, b, h0 = problem((2, 70, 3), dtype)
    want, plain = ops.recurrence(a, b, h0)
    a, b, h0 = machine.place((a, b, h0))
    with machine.running():
        h, cache = ops.recurrence(a, b, h0, schedule=LADDER[rung])
        grads = ops.recurrence_backward(h, cache, schedule=LADDER[rung])
    assert relative(h, want) <= rounding(dtype, 70)
    for got, right in zip(grads, ops.recurrence_backward(want, plain), strict=True):
        assert relative(got, right) <= 10 * rounding(dtype, 70)


def test_numpy_arrays_are_refused_where_no_emulator_is_set():
    a, b, h0 = problem((1, 4), "float32")
    with pytest.raises(TypeError, match="expected a CuPy array"):
        scan.block(a, b, h0)


def test_integers_are_refused():
    x = np.ones((1, 4), np.int32)
    with using(loader=Emulator()), pytest.raises(TypeError, match="b has dtype int32"):
        scan.block(x, x, x[:, 0])
