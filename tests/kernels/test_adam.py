"""Adam's kernel against the array code in float64, and through the real compiler."""

import numpy as np
import pytest

from minimamba.dispatch import using
from minimamba.ops.adam import AdamState, adam_init, adam_update, adamw_update
from minimamba.trees import tree_leaves, tree_map
from tests.emulator import ORDERS, Emulator
from tests.kernels.nvrtc_cache import ARCHITECTURES, compiled
from tests.kernels.problems import FORWARD, check


def drawn(sizes, seed):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(size).astype(np.float32) for size in sizes)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("update", [adam_update, adamw_update])
def test_every_number_is_that_of_float64(machine, update, order):
    sizes = [(1,), (255,), (256,), (3, 171), (0, 2)]
    params = (*drawn(sizes, 0), None)
    wide = tree_map(np.float64, params)
    params = machine.place(params)
    state, wide_state = adam_init(params), adam_init(wide)
    for seed, scale in enumerate((1, 1e-8, 1e-16)):  # down to what squares to nearly nothing
        grads = tuple(g * np.float32(scale) for g in drawn(sizes, seed))
        with machine.running(order):
            params, state = update(params, machine.place((*grads, None)), state, lr=0.1)
        wide, wide_state = update(wide, tree_map(np.float64, (*grads, None)), wide_state, lr=0.1)
    for one, two in ((wide, params), (wide_state.mean, state.mean)):
        for (path, x), (_, y) in zip(tree_leaves(one), tree_leaves(two), strict=True):
            assert y.dtype == np.float32
            check(y, x, FORWARD, path)


def test_an_argument_is_not_changed_and_a_view_is_not_misread(machine):
    p, g = machine.place(drawn([(20, 6), (20, 6)], 0))
    tree, kept = (p[::2, ::-1],), p.copy()
    state = adam_init(tree)
    with machine.running():
        moved, _ = adam_update(tree, (g[::2],), state)
    with using(enabled=False):
        want, _ = adam_update(tree, (g[::2],), state)
    check(moved[0], want[0].astype(np.float64), FORWARD)
    assert (p == kept).all() and not state.mean[0].any()


@pytest.mark.parametrize("wide", range(4))
def test_one_wider_array_among_the_four_takes_the_array_code(wide):
    given = drawn([5] * 4, 0)
    p, g, mean, square = (x.astype(float) if i == wide else x for i, x in enumerate(given))
    tree, state = (p,), AdamState(1, (mean,), (square**2,))
    want, want_state = adam_update(tree, (g,), state)
    with using(loader=Emulator()):
        got, got_state = adam_update(tree, (g,), state)
    for x, y in ((got, want), (got_state.mean, want_state.mean)):
        assert x[0].dtype == y[0].dtype and (x[0] == y[0]).all()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_real_compiler_takes_it_and_nothing_spills(arch):
    used = compiled(("adam.cu",), (), arch)["adam_update"]
    assert used["spill"] == 0 and used["registers"] <= 32
