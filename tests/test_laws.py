"""The laws every differentiable pair obeys (DESIGN.md), on sizes that include 1 and odd ones."""

from functools import partial

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minimamba import gpu
from minimamba.arrays import to_host
from minimamba.dispatch import using
from minimamba.gradcheck import check_vjp
from minimamba.trees import tree_leaves, tree_map
from tests import cupy_stand_in
from tests.cases import Sizes, collect, grads_of, pull, random_like
from tests.recsys.test_device import require_agreement

SIZES = st.builds(
    Sizes,
    b=st.integers(1, 3),
    l=st.integers(1, 9),
    d=st.integers(1, 5),
    e=st.integers(1, 5),
    n=st.integers(1, 5),
    k=st.integers(1, 5),
    v=st.integers(2, 9),
    r=st.integers(1, 3),
)
SEEDS = st.integers(0, 2**16)
ONES = Sizes(b=1, l=1, d=1, e=1, n=1, k=1, v=2, r=1)
CASES = collect()


def on(cases):
    """Run a test on each of the cases."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def law(examples, cases=CASES):
    """Run a test on cases, sizes and seeds: the smallest sizes, and so many drawn ones."""

    def decorate(test):
        test = example(sizes=ONES, seed=0)(given(sizes=SIZES, seed=SEEDS)(test))
        return on(cases)(settings(max_examples=examples)(test))

    return decorate


def is_composite(case):
    """Say whether a case has a dozen parameters and more: an assembly of parts with own cases."""
    return len(tree_leaves(tuple(case.draw(np.random.default_rng(0), Sizes())))) >= 12


@law(examples=12, cases=[case for case in CASES if not is_composite(case)])
def test_the_backward_is_the_adjoint_of_the_tangent(case, sizes, seed):
    rng = np.random.default_rng(seed)
    inputs = case.draw(rng, sizes)
    check_vjp(case.op, case.backward, inputs, case.tangent, case.tolerance, rng)


@law(examples=3, cases=[case for case in CASES if is_composite(case)])
def test_the_backward_of_an_assembly_is_the_adjoint_of_its_tangent(case, sizes, seed):
    rng = np.random.default_rng(seed)
    inputs = case.draw(rng, sizes)
    check_vjp(case.op, case.backward, inputs, case.tangent, case.tolerance, rng)


@law(examples=6)
def test_the_backward_is_linear_in_its_cotangent(case, sizes, seed):
    rng = np.random.default_rng(seed)
    inputs = case.draw(rng, sizes)
    *outputs, cache = case.op(*inputs)
    one, two = random_like(rng, tuple(outputs)), random_like(rng, tuple(outputs))

    def back(cotangents):
        return pull(case, cotangents, cache, inputs)

    of_one, of_two = back(one), back(two)
    # Products with a power of two, and with zero, round nowhere: these two hold bit for bit.
    _require(lambda g, h: (2 * g == h).all(), of_one, back(tree_map(lambda w: 2 * w, one)))
    _require(lambda g: (g == 0).all(), back(tree_map(lambda w: 0 * w, one)))
    # A gradient is a sum of at most some 500 products of numbers near 1; their rounding errors of
    # 1e-16 each make 5e-14 of its largest entries, if no more than nineteen twentieths cancel.
    largest = max(float(abs(g).max()) for _, g in tree_leaves((of_one, of_two)) if g.size)
    of_both = back(tree_map(lambda v, w: v + w, one, two))
    _require(lambda g, h, k: (abs(g + h - k) <= 1e-12 * largest).all(), of_one, of_two, of_both)


@law(examples=4)
def test_gradients_have_the_types_and_shapes_of_what_they_belong_to(case, sizes, seed):
    inputs = case.draw(np.random.default_rng(seed), sizes)
    _, grads, _ = grads_of(case, inputs)
    assert len(grads) == len(inputs)
    for x, dx in zip(inputs, grads, strict=True):
        _require_same_structure(x, dx)


@law(examples=4)
def test_no_argument_is_changed(case, sizes, seed):
    inputs = case.draw(np.random.default_rng(seed), sizes)
    before = tree_map(np.copy, tuple(inputs))
    outputs, grads, cotangents = grads_of(case, inputs)
    kept = tree_map(np.copy, (outputs, grads, cotangents))
    again = grads_of(case, inputs, cotangents)
    _require(np.array_equal, before, tuple(inputs))
    _require(np.array_equal, kept, (outputs, grads, cotangents))
    _require(np.array_equal, kept[:2], again[:2])


@on(CASES)
def test_a_cache_can_be_used_twice(case):
    inputs = case.draw(np.random.default_rng(0), Sizes())
    *outputs, cache = case.op(*inputs)
    cotangents = tree_map(np.ones_like, tuple(outputs))
    first = tree_map(np.copy, pull(case, cotangents, cache, inputs))
    _require(np.array_equal, first, pull(case, cotangents, cache, inputs))
    assert not any(isinstance(leaf, list | dict) for _, leaf in tree_leaves(cache))


@law(examples=4)
def test_the_dtype_is_kept(case, sizes, seed):
    inputs = case.draw(np.random.default_rng(seed), sizes)
    narrow = {"f": np.float32, "c": np.complex64}
    inputs = tree_map(lambda x: x.astype(narrow[x.dtype.kind]), tuple(inputs))
    outputs, grads, _ = grads_of(case, inputs)
    for path, x in tree_leaves((outputs, grads)):
        assert x.dtype in (np.float32, np.complex64), f"{path} has become {x.dtype}"


@law(examples=6)
def test_batch_rows_are_independent(case, sizes, seed):
    if not case.batched:
        pytest.skip("its outputs mix the rows by definition")
    inputs = case.draw(np.random.default_rng(seed), sizes)
    outputs, grads, cotangents = grads_of(case, inputs)
    row = partial(tree_map, lambda x: x[-1:])
    alone = tuple(row(x) if i in case.batched else x for i, x in enumerate(inputs))
    outputs_alone, grads_alone, _ = grads_of(case, alone, row(cotangents))
    # A product of another shape may add its terms in another order: some 20 terms near 1.
    close = partial(np.allclose, rtol=0, atol=1e-12)
    _require(lambda x, y: close(x / _size(x), y / _size(x)), row(outputs), outputs_alone)
    for i in case.batched:
        _require(lambda x, y: close(x / _size(x), y / _size(x)), row(grads[i]), grads_alone[i])


def on_a_gpu(case):
    """Require of CuPy's arrays what NumPy's give, and that all results are CuPy's."""
    import cupy

    inputs = case.draw(np.random.default_rng(0), Sizes())
    on_host = grads_of(case, inputs)
    on_gpu = grads_of(
        case, tree_map(cupy.asarray, tuple(inputs)), tree_map(cupy.asarray, on_host[2])
    )
    assert all(isinstance(x, cupy.ndarray) for _, x in tree_leaves(on_gpu[:2]))
    # Other libraries, other orders: 1e-12 is some thousand roundings in float64.
    _require(
        lambda x, y: np.allclose(x, to_host(y), rtol=1e-12, atol=1e-12), on_host[:2], on_gpu[:2]
    )


@pytest.mark.skipif(gpu.unavailable() is not None, reason=str(gpu.unavailable()))
@on(CASES)
def test_cupy_gives_what_numpy_gives(case):
    on_a_gpu(case)


@pytest.mark.skipif(gpu.unavailable() is not None, reason=str(gpu.unavailable()))
def test_cupy_gives_the_training_of_the_cpu_step_by_step(tmp_path):
    import cupy

    # Adam divides a gradient by its own size or by 1e-8: where one should vanish, a rounding of
    # 1e-16 moves a weight by 1e-8 lr = 1e-10 in each of eighteen steps.
    require_agreement(tmp_path, cupy.asarray, 1e-8)


@on(CASES)
def test_arrays_as_strict_as_cupys_give_what_numpy_gives(case, monkeypatch):
    cupy_stand_in.install(monkeypatch)
    with using(enabled=False), cupy_stand_in.device.counted() as waits:
        on_a_gpu(case)
    # The comparison brings the results home; two ops look at the size of a matrix to scale it.
    results = len(tree_leaves(grads_of(case, case.draw(np.random.default_rng(0), Sizes()))[:2]))
    scaling = 3 if case.name in ("matrix_exp", "zoh_dense") else 0
    assert waits == {"get": results + scaling}, "an op waits for the GPU"


def _require(holds, *trees):
    """Require something of the leaves at every place."""
    verdicts = tree_map(lambda *leaves: bool(holds(*leaves)), *trees)
    assert all(verdict for _, verdict in tree_leaves(verdicts)), f"not so at {verdicts}"


def _require_same_structure(x, dx):
    """Require the same types all the way down, and the same shapes."""
    if isinstance(x, tuple):
        assert type(dx) is type(x)
        for child, dchild in zip(x, dx, strict=True):
            _require_same_structure(child, dchild)
    elif x is None:
        assert dx is None
    else:
        assert dx.shape == x.shape


def _size(x):
    """Return the largest magnitude, at least 1."""
    return max(1.0, float(abs(x).max(initial=0)))
