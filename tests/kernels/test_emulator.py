"""The emulator is a measuring instrument: these tests check that it sees what it should."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.emulator import ORDERS, RANDOM, Emulator, LaunchError

CODE = (Path(__file__).parent / "small.cu").read_text()


def run(name, sanitize=None, blocks=1, **how):
    x = np.zeros(64, np.float32)
    Emulator(sanitize=sanitize, **how)(CODE).get_function(name)((blocks,), (64,), (x,))
    return x


@pytest.mark.parametrize(
    "name,sanitize,says",
    [
        ("add_without_atomic", "thread", "data race"),
        ("two_barriers_for_one", None, "different __syncthreads"),
        ("stuck", None, "deadlock"),
        ("outside_the_mask", None, "outside its mask"),
        ("past_the_end", "address", "heap-buffer-overflow"),
        ("past_the_end_of_shared", "address", "out of bounds"),
    ],
)
def test_a_planted_fault_is_reported(name, sanitize, says):
    with pytest.raises(LaunchError, match=says):
        run(name, sanitize, blocks=4)


@pytest.mark.parametrize("sanitize", [None, "thread"])
def test_atomics_from_many_blocks_do_not_race(sanitize):
    assert run("add_with_atomic", sanitize, blocks=4)[0] == 4


def test_shared_memory_starts_as_nan():
    assert np.isnan(run("reads_what_nobody_wrote")).all()


def test_a_missing_barrier_shows_in_the_numbers_of_some_order_and_as_a_race_in_all():
    line = CODE[: CODE.index("x[threadIdx.x] = s[63")].count("\n")  # the barrier is the line above
    right = np.arange(64)[::-1]
    assert all(np.array_equal(run("neighbour", order=order), right) for order in ORDERS)
    wrong = [not np.array_equal(run("neighbour", order=o, skip=line), right) for o in ORDERS]
    assert any(wrong)
    for order in ORDERS:
        run("neighbour", "thread", order=order)
        with pytest.raises(LaunchError, match=r"data race[\s\S]*kernel.cu"):
            run("neighbour", "thread", order=order, skip=line)


@pytest.mark.parametrize("order", ORDERS)
def test_half_warps_shuffle_on_their_own(order):
    i = np.arange(64)
    swapped = i ^ 1
    want = np.where(i % 32 < 16, swapped[(i + 16) % 64], swapped) + 7
    np.testing.assert_array_equal(run("half_warps", order=order, seed=3), want)


def test_random_order_depends_on_the_seed_alone():
    first, again = (run("half_warps", order=RANDOM, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "x,says",
    [
        (np.zeros(64), "argument 0 is float64, the kernel declares f4"),
        (np.zeros((64, 2), np.float32)[:, 0], "C-contiguous"),
        (5, "C-contiguous array or None"),
    ],
    ids=["float64", "strided", "number"],
)
def test_arguments_are_checked_against_the_declaration(x, says):
    with pytest.raises(TypeError, match=re.escape(says)):
        Emulator()(CODE).get_function("neighbour")((1,), (64,), (x,))


def test_the_number_of_arguments_is_checked():
    with pytest.raises(TypeError, match="takes 1 arguments, got 2"):
        Emulator()(CODE).get_function("stuck")((1,), (64,), (None, None))


def test_a_python_integer_is_refused():
    code = 'extern "C" __global__ void one(int n) {}'
    with pytest.raises(TypeError, match="NumPy scalar, got int"):
        Emulator()(code).get_function("one")((1,), (1,), (3,))
    Emulator()(code).get_function("one")((1,), (1,), (np.int32(3),))


def test_an_error_in_the_code_names_its_line():
    with pytest.raises(RuntimeError, match=r"kernel\.cu:2"):
        Emulator()('extern "C" __global__ void k(float *x) {\n x[0] = y; }')


def test_a_grid_of_no_blocks_is_refused_as_the_driver_does():
    kernel = Emulator()("__global__ void idle(int n) {}", ()).get_function("idle")
    kernel((1,), (32,), (np.int32(1),))
    for grid, block in (((0,), (32,)), ((1, 0), (32,)), ((1,), (0,))):
        with pytest.raises(LaunchError, match="idle: invalid argument, a grid or block of"):
            kernel(grid, block, (np.int32(1),))
