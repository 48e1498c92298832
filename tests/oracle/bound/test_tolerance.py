"""The bound holds, is tight, and every grade is what its name says."""

from dataclasses import replace

import numpy as np
import pytest

from minimamba.oracle.bound.judge import Judge, accepted, grades
from minimamba.oracle.bound.tolerance import recurrence_bound, unit_roundoff
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.check import failures
from minimamba.oracle.truth.arithmetic import exact
from minimamba.oracle.truth.scan import recurrence

from ..mutants.kill import RIGHT, mutate, target_of

ORDERS = {}


def order(f):
    ORDERS[f.__name__] = f
    return f


@order
def left_fold(a, b):
    h = np.zeros_like(b)
    for t in range(b.shape[1]):
        h[:, t] = (a[:, t] * h[:, t - 1] if t else 0) + b[:, t]
    return h


@order
def doubling(a, b):
    a, b, k = a.copy(), b.copy(), 1
    while k < b.shape[1]:
        later = a[:, k:] * b[:, :-k] + b[:, k:]
        a[:, k:], b[:, k:] = a[:, k:] * a[:, :-k], later
        k *= 2
    return b


@order
def chunks_of_eight(a, b):
    h, carry = np.empty_like(b), np.zeros_like(b[:, 0])
    for s in range(0, b.shape[1], 8):
        local, decay = doubling(a[:, s : s + 8], b[:, s : s + 8]), np.cumprod(a[:, s : s + 8], 1)
        h[:, s : s + 8] = local + decay * carry[:, None]
        carry = h[:, min(s + 8, b.shape[1]) - 1]
    return h


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("slow", [0.5, 0.01, 1e-5])
def test_the_bound_holds_in_every_order_and_is_not_a_hundred_times_too_large(name, dtype, slow):
    rng = np.random.default_rng(0)
    shape, worst = (4, 257, 3), 0.0
    size = np.exp(-slow * rng.random(shape))
    phase = np.exp(1j * rng.uniform(-3, 3, shape)) if dtype == "complex64" else 1
    a, b = (size * phase).astype(dtype), rng.standard_normal(shape).astype(dtype)
    h = ORDERS[name](a, b)
    h0 = np.zeros_like(b[:, 0])
    want = exact(recurrence, a=a, b=b, h0=h0)["h"]
    tol = recurrence_bound(a, b, h0, dtype)
    worst = float(np.max(np.abs(h - want) / tol))
    assert 0.01 < worst <= 1


def test_the_bound_run_backward_is_the_bound_of_the_reversed_sequence():
    rng = np.random.default_rng(1)
    a, b, h0 = rng.random((2, 9, 3)), rng.standard_normal((2, 9, 3)), rng.standard_normal((2, 3))
    back = recurrence_bound(a, b, h0, "float32", reverse=True)
    flipped = recurrence_bound(a[:, ::-1], b[:, ::-1], h0, "float32")
    assert np.array_equal(back, flipped[:, ::-1])


def test_the_first_state_counts_even_where_one_plus_a_roundoff_is_one():
    a, b, h0 = np.ones((1, 1)), np.full((1, 1), -0.1), np.ones(1)
    assert recurrence_bound(a, b, h0, "float64")[0, 0] >= 2.0**-53


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="dtype must be one of"):
        unit_roundoff("int8")


def graded(old, new, dtype="float32", cases=30, only=()):
    """Return the laxest grade that an edit of the right scan needs, over some cases."""
    target, names = target_of(mutate(old, new), "selective_scan"), [p.name for p in grades(dtype)]
    worst = 0
    options = {"D", "z", "delta_bias", "delta_softplus", "gradients", *only}
    for i in range(cases):
        case = draw("selective_scan", (5, i), dtype, options)
        judge = Judge(case)
        for f in judge.findings(target.call(case)):
            assert f.grade is not None, (i, f.output, f.strict)
            worst = max(worst, names.index(f.grade))
    return names[worst]


THRESHOLD = (
    "    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))\n",
    "    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))\n",
)
DIFFERENCE = ("dlog = g * np.conj(a * h_prev)", "dlog = g * np.conj(h - b)")
SEGMENTS = (
    "    h = scan(a, b, h0)\n",
    "    total = np.cumsum(step[:, :, None] * A[:, :, None], -1)\n"
    "    gap = np.minimum(total[..., :, None] - total[..., None, :], 0)\n"
    "    decay = np.exp(np.where(np.tri(b.shape[-1], dtype=bool), gap, -np.inf))\n"
    "    h = (decay * b[..., None, :]).sum(-1) + np.exp(total) * h0[..., None]\n",
)


def test_softplus_with_a_threshold_is_its_own_grade_in_double_precision_only():
    assert graded(*THRESHOLD) == "exact"  # below the roundings of single precision
    assert graded(*THRESHOLD, dtype="float64") == "threshold-20 softplus"


def test_the_state_recovered_by_a_difference_is_fast_math():
    assert graded(*DIFFERENCE) == "fast math"


def test_decays_as_exponentials_of_differences_are_segment_sums():
    assert graded(*SEGMENTS) == "segment sums"


def test_a_declared_grade_passes_what_the_default_does_not():
    target = target_of(mutate(*DIFFERENCE), "selective_scan")
    options = {"delta_softplus", "gradients"}
    cases = [draw("selective_scan", (5, i), "float32", options) for i in range(30)]
    strict = [failures(target, c, accepted("float32"), [])[0] for c in cases]
    fast = [failures(target, c, accepted("float32", "fast math"), [])[0] for c in cases]
    assert any(strict) and not any(fast)


def test_climbing_on_error_over_tolerance_stays_below_one():
    rng, target = np.random.default_rng(3), target_of(RIGHT, "selective_scan")
    case = replace(
        draw("selective_scan", (9, 3), "float32", {"D", "gradients"}), memory="contiguous"
    )

    def score(case):
        return max(f.strict for f in Judge(case).findings(target.call(case)))

    best = first = score(case)
    for _ in range(60):
        name = str(rng.choice(list(case.inputs)))
        x = case.inputs[name].copy()
        x.flat[rng.integers(x.size)] *= np.exp(rng.normal(0, 0.3))
        moved = case.with_inputs(**{name: x}).rounded()
        if (new := score(moved)) > best:
            case, best = moved, new
    assert first < best <= 1
