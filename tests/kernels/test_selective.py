"""The fused selective scan against float64: its CUDA source on the CPU, or on a GPU."""

from functools import partial

import numpy as np
import pytest

from minimamba.arrays import to_host
from minimamba.dispatch import using
from minimamba.kernels import selective
from minimamba.kernels.bfloat16 import from_bfloat16, to_bfloat16
from minimamba.ops.selective.naive import SelectiveScanGrads
from tests.emulator import ORDERS, RANDOM
from tests.kernels.problems import (
    BFLOAT16,
    FORWARD,
    check,
    check_selective,
    relative,
    selective_answer,
    selective_forward,
    selective_problem,
)


def lengths(n):
    """Return the awkward lengths: around one tile of the forward, and of the backward."""
    tile = selective.forward_shape(n).tile
    return sorted({1, 2, 7, 8, 9, tile - 1, tile, tile + 1, 3 * tile + 5})


def check_problem(machine, problem, delta_softplus=True, **how):
    """Run a problem where the machine is; compare outputs and every gradient with float64."""
    answer = selective_answer(*problem, delta_softplus)
    forward = partial(selective.forward, delta_softplus=delta_softplus)
    with machine.running(**how):
        check_selective(forward, selective.backward, machine.place(problem), answer)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [1, 3, 16, 32])
def test_every_number_is_that_of_float64_under_every_schedule(machine, n, order):
    for seed, l in enumerate(lengths(n)):
        for b, e in [(1, 1), (3, 31), (1, 33), (3, 33)]:
            check_problem(machine, selective_problem(b, l, e, n, seed), order=order, seed=n)


@pytest.mark.parametrize("n", [5, 48])
def test_other_numbers_of_states(machine, n):
    check_problem(machine, selective_problem(2, 21, 33, n))


@pytest.mark.parametrize("n", [65, 256])
def test_more_states_than_one_launch_takes(machine, n):
    check_problem(machine, selective_problem(1, 11, 3, n))


@pytest.mark.parametrize(
    "without",
    [
        {"D": None},
        {"z": None},
        {"delta_bias": None},
        {"D": None, "z": None, "delta_bias": None},
    ],
    ids=str,
)
def test_what_may_be_absent(machine, without):
    for n in (3, 65):
        x, h0, dy, dh_last = selective_problem(2, 19, 5, n, **without)
        for problem in [(x, h0, dy, dh_last), (x, None, dy, None)]:
            check_problem(machine, problem)


@pytest.mark.parametrize("n", [3, 65])
def test_step_sizes_that_do_not_go_through_softplus(machine, n):
    x, h0, dy, dh_last = selective_problem(2, 19, 5, n)
    x = x._replace(delta=np.abs(x.delta) / 4, delta_bias=np.abs(x.delta_bias))
    for problem in [(x, h0, dy, dh_last), (x, None, dy, None)]:
        check_problem(machine, problem, delta_softplus=False)


@pytest.mark.parametrize("order", ORDERS)
def test_time_in_segments(machine, monkeypatch, order):
    monkeypatch.setattr(selective, "SHORTEST_SEGMENT", 32)
    for l, e, n in [(64, 33, 3), (97, 2, 16), (200, 33, 16)]:
        assert selective.cut_time(1, l, e)[0] > 1
        x, h0, dy, dh_last = selective_problem(1, l, e, n)
        check_problem(machine, (x, h0, dy, dh_last), order=order)
        check_problem(machine, (x, None, dy, None), order=order)


def test_a_sequence_long_enough_is_cut_by_itself(machine):
    assert selective.cut_time(1, 1057, 33)[0] > 1
    check_problem(machine, selective_problem(1, 1057, 33, 16))


def test_the_shape_for_ampere(machine):
    check_problem(machine, selective_problem(2, 21, 33, 16), generation=80)
    assert selective.backward_shape(16, 80) != selective.backward_shape(16, 90)


def test_time_is_cut_only_where_the_gpu_would_idle():
    assert selective.cut_time(8, 2048, 2048) == (1, 2048)
    count, steps = selective.cut_time(1, 65536, 1024)
    assert count > 8 and steps % 32 == 0 and (count - 1) * steps < 65536 <= count * steps
    assert selective.cut_time(1, 200, 32) == (1, 224)


def test_a_sequence_in_two_chunks_is_the_sequence(machine):
    x, h0, _, _ = machine.place(selective_problem(2, 40, 33, 16))
    cut = {name: (getattr(x, name)[:, :13], getattr(x, name)[:, 13:]) for name in selective_parts}
    with machine.running():
        y, h, _ = selective_forward(x, h0)
        first, middle, _ = selective_forward(x._replace(**{k: v[0] for k, v in cut.items()}), h0)
        then, last, _ = selective_forward(x._replace(**{k: v[1] for k, v in cut.items()}), middle)
    check(np.concatenate([to_host(first), to_host(then)], axis=1), y, FORWARD)
    check(last, h, FORWARD)


selective_parts = ("u", "delta", "B", "C", "z")


@pytest.mark.parametrize("n", [16, 65])
def test_bfloat16_in_memory_float32_inside(machine, n):
    x, h0, dy, dh_last = selective_problem(2, 41, 33, n)
    bits = {name: to_bfloat16(getattr(x, name)) for name in selective_parts}
    exact = {name: from_bfloat16(v) for name, v in bits.items()}
    answer = selective_answer(x._replace(**exact), h0, from_bfloat16(to_bfloat16(dy)), dh_last)
    tolerances = (BFLOAT16, BFLOAT16)
    bits = {name: machine.place(v) for name, v in bits.items()}

    def forward(x, h0):
        y, h_last, cache = selective_forward(x._replace(**bits), h0)
        assert y.dtype == np.uint16 and h_last.dtype == np.float32
        return from_bfloat16(y), h_last, cache

    def backward(dy, dh_last, cache):
        grads = selective.backward(to_bfloat16(dy), dh_last, cache)
        return SelectiveScanGrads(*(from_bfloat16(v) if v.dtype == np.uint16 else v for v in grads))

    with machine.running(RANDOM):
        problem = machine.place((x, h0, dy, dh_last))
        check_selective(forward, backward, problem, answer, tolerances)


def test_deterministic_mode_gives_the_same_bits_under_every_schedule(machine):
    problem, seen = selective_problem(2, 19, 100, 16), []
    _, _, want = selective_answer(*problem)
    x, h0, dy, dh_last = machine.place(problem)
    for order in ORDERS:
        with machine.running(order), using(deterministic=True):
            grads = selective.backward(dy, dh_last, selective_forward(x, h0)[2])
        seen.append(grads)
        check(grads.B, want.B, 5e-6)
        check(grads.C, want.C, 5e-6)
    for name, first, *others in zip(SelectiveScanGrads._fields, *seen, strict=True):
        assert all(np.array_equal(to_host(first), to_host(v)) for v in others), name


def test_small_step_sizes_keep_their_gradient(machine):
    """softplus' derivative near 0 must not come from 1 - e^-s, which would cancel."""
    x, h0, dy, dh_last = selective_problem(1, 9, 3, 3)
    check_problem(machine, (x._replace(delta=x.delta - np.float32(9)), h0, dy, dh_last))


def test_empty_sequences_pass_the_state_through(machine):
    x, h0, dy, dh_last = machine.place(selective_problem(2, 0, 3, 3))
    with machine.running():
        y, h_last, cache = selective_forward(x, h0)
        grads = selective.backward(dy, dh_last, cache)
    h_last, h0, dh0, dh_last, dA = map(to_host, (h_last, h0, grads.h0, dh_last, grads.A))
    assert y.shape == (2, 0, 3) and np.array_equal(h_last, h0)
    assert np.array_equal(dh0, dh_last) and not dA.any()


@pytest.mark.parametrize("sizes", [(0, 5, 3, 3), (2, 0, 3, 3), (2, 5, 0, 3), (0, 5, 3, 70)])
@pytest.mark.parametrize("given", [True, False])
def test_where_there_is_nothing_no_grid_of_no_blocks_is_launched(machine, sizes, given):
    x, h0, dy, dh_last = selective_problem(*sizes)
    if not given:
        x, h0, dh_last = x._replace(D=None, z=None, delta_bias=None), None, None
    *outputs, wanted_grads = selective_answer(x, h0, dy, dh_last)
    x, h0, dy, dh_last = machine.place((x, h0, dy, dh_last))
    with machine.running():
        y, h_last, cache = selective_forward(x, h0)
        grads = selective.backward(dy, dh_last, cache)
    pairs = zip((y, h_last, *grads), (*outputs, *wanted_grads), strict=True)
    for mine, wanted in pairs:
        assert (mine is None) == (wanted is None)
        assert mine is None or (mine.dtype == np.float32 and np.array_equal(to_host(mine), wanted))


def test_an_unknown_type_is_refused_in_one_sentence():
    x, h0, _, _ = selective_problem(1, 2, 3, 4)
    with pytest.raises(TypeError, match="u has dtype float64, the kernel takes float32"):
        selective_forward(x._replace(u=x.u.astype(np.float64)), h0)


def test_views_are_copied_not_misread(machine):
    x, h0, _, _ = selective_problem(2, 9, 5, 3)
    double_width = machine.place(np.concatenate([x.B, x.C], axis=2))
    x, h0 = machine.place((x, h0))
    views = x._replace(B=double_width[..., :3], C=double_width[..., 3:], u=x.u[:, ::-1][:, ::-1])
    with machine.running():
        assert relative(selective_forward(views, h0)[0], selective_forward(x, h0)[0]) == 0
