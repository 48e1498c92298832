"""Discretization: exact where it promises to be, of the promised order elsewhere, stable or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.gradcheck import central_difference, check_vjp
from minimamba.ops.discretize import (
    bilinear,
    bilinear_backward,
    euler,
    euler_backward,
    zoh,
    zoh_backward,
    zoh_euler,
    zoh_euler_backward,
)
from minimamba.ops.recurrence import recurrence

METHODS = {
    "zoh": (zoh, zoh_backward),
    "bilinear": (bilinear, bilinear_backward),
    "euler": (euler, euler_backward),
    "zoh_euler": (zoh_euler, zoh_euler_backward),
}
every_method = pytest.mark.parametrize("method, backward", METHODS.values(), ids=METHODS)
SHAPES = {  # of delta, and of B with e = 3 channels and n = 2 states
    "constant, own B": ((3,), (3, 2)),
    "constant, shared B": ((3,), (2,)),
    "of the input": ((2, 4, 3), (2, 4, 2)),
    "of the input, own B": ((2, 4, 3), (2, 4, 3, 2)),
    "of the input, constant B": ((2, 4, 3), (1, 1, 3, 2)),
}


def draw(seed, shapes, cplx):
    """Return (delta, A, B); A in the left half-plane."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if cplx else 0)

    delta_shape, B_shape = shapes
    A = normal(3, 2)
    return rng.uniform(0.05, 2, delta_shape), A - 2 * np.maximum(A.real, 0), normal(*B_shape)


@pytest.mark.parametrize("cplx", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@every_method
def test_the_backward_is_the_adjoint_of_the_tangent(method, backward, shapes, cplx):
    # central differences of step 1e-5: truncation 1e-10, rounding 1e-11 of numbers near 1
    def tangent(*args):
        return central_difference(*args, step=1e-5)

    check_vjp(method, backward, draw(0, shapes, cplx), tangent, tolerance=1e-8)


def steady_response(method, steps, a=-1.3, cplx=False):
    """Return the state at time 1 of h' = a h + u(t), h(0) = 1, u held over each step."""
    delta, A, B = np.array([1.0 / steps]), np.array([[a]]), np.ones((1, 1))
    A_bar, B_bar, _ = method(delta, A, B)
    u = np.ones((1, steps))
    h, _ = recurrence(np.full((1, steps), A_bar[0, 0]), u * B_bar[0, 0], np.ones(1))
    return h[0, -1]


def test_zero_order_hold_is_exact_for_a_held_input():
    exact = np.exp(-1.3) + (np.exp(-1.3) - 1) / -1.3
    for steps in (1, 3, 64, 1000):
        # one rounding of A_bar, amplified by the number of steps, and as many in the recurrence
        assert abs(steady_response(zoh, steps) - exact) <= 4 * steps * 2.0**-53


@pytest.mark.parametrize("name, order", [("euler", 1), ("zoh_euler", 1), ("bilinear", 2)])
def test_the_order_of_accuracy_is_the_promised_one(name, order):
    exact = np.exp(-1.3) + (np.exp(-1.3) - 1) / -1.3
    steps = np.array([16, 32, 64, 128, 256])
    errors = [abs(steady_response(METHODS[name][0], s) - exact) for s in steps]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.05  # the next term of the error is a step size smaller


def gain(method, x):
    """Return |A_bar| of the test equation h' = A h at x = delta A."""
    A_bar, _, _ = method(np.ones(1), np.array([[x]]), np.ones((1, 1), np.asarray(x).dtype))
    return abs(A_bar[0, 0])


@given(re=st.floats(-50, 50), im=st.floats(-50, 50))
@settings(max_examples=200)
def test_the_stability_regions(re, im):
    x, slack = complex(re, im), 1e-12
    if abs(re) > 1e-9:
        assert (gain(zoh, x) < 1) == (re < 0)
        assert (gain(zoh_euler, x) < 1) == (re < 0)
        assert (gain(bilinear, x) < 1 + slack) or re > 0
        assert (gain(bilinear, x) > 1 - slack) or re < 0
    assert abs(gain(euler, x) - abs(1 + x)) <= slack * (1 + abs(x))  # stable in a disc only


def test_a_huge_step_forgets_and_only_euler_explodes():
    with np.errstate(over="raise"):
        assert gain(zoh, -1e6) == gain(zoh_euler, -1e6) == 0
        assert gain(bilinear, -1e6) < 1 < gain(euler, -1e6)


@every_method
def test_a_step_of_nothing_changes_nothing(method, backward):
    A_bar, B_bar, cache = method(np.zeros(3), *draw(0, SHAPES["constant, own B"], True)[1:])
    assert (A_bar == 1).all() and (B_bar == 0).all()
    grads = backward(np.ones_like(A_bar), np.ones_like(B_bar), cache)
    assert all(np.isfinite(g).all() for g in grads)


def test_without_decay_every_method_integrates():
    delta, B = np.full(3, 0.25), np.ones((3, 2))
    for method, _ in METHODS.values():
        A_bar, B_bar, _ = method(delta, np.zeros((3, 2)), B)
        assert (A_bar == 1).all() and (B_bar == 0.25).all()


@given(seed=st.integers(0, 2**32 - 1), exponent=st.floats(-30, 2), dtype=st.sampled_from("fd"))
@settings(max_examples=100)
def test_zero_order_hold_stays_within_its_bound(seed, exponent, dtype):
    delta, A, B = draw(seed, SHAPES["of the input"], False)
    inputs = dict(delta=(delta * 10**exponent).astype(dtype), A=A.astype(dtype), B=B.astype(dtype))
    A_bar, B_bar, cache = zoh(*inputs.values())
    rng = np.random.default_rng(seed)
    pull = [rng.standard_normal(A_bar.shape).astype(dtype) for _ in range(2)]
    require_within_bound(inputs, A_bar, B_bar, pull, zoh_backward(*pull, cache))


def require_within_bound(inputs, A_bar, B_bar, pull, grads):
    """Compare with long double, which writes the same formulas without any care for cancellation.

    The bound: x = delta A has one rounding, exp two ulp, phi and its slope 8 units (test_phi), and
    each gradient is a sum of products of 5 roundings over at most 24 terms.
    """
    delta, A, B = (x.astype(np.longdouble) for x in inputs.values())
    dA_bar, dB_bar = (x.astype(np.longdouble) for x in pull)
    x = delta[..., None] * A
    near = np.abs(x) < 1e-3
    far = np.where(near, 1, x)
    phi = np.where(near, 1 + x / 2 + x**2 / 6 + x**3 / 24 + x**4 / 120, np.expm1(far) / far)
    slope = np.where(near, 0.5 + x / 3 + x**2 / 8 + x**3 / 30 + x**4 / 144, 0)
    slope = np.where(near, slope, (1 + (far - 1) * np.exp(far)) / far**2)
    step, b = delta[..., None], B[..., None, :]
    unit = np.finfo(A_bar.dtype).eps / 2
    tiny = np.finfo(A_bar.dtype).tiny
    room = (16 + np.abs(x)) * unit  # relative; an error of x in its last place moves exp by |x| u
    assert (np.abs(A_bar - np.exp(x)) <= room * np.exp(x) + tiny).all()
    assert (np.abs(B_bar - step * phi * b) <= room * np.abs(step * phi * b) + tiny).all()
    terms = dA_bar * np.exp(x), dB_bar * step * slope * b
    dx, size = sum(terms), sum(map(np.abs, terms))
    wanted = (dx * A + dB_bar * phi * b).sum(-1), (dx * step).sum((0, 1)), (dB_bar * step * phi)
    sizes = (size * np.abs(A) + np.abs(dB_bar * phi * b)).sum(-1), (size * step).sum((0, 1))
    sizes += (np.abs(dB_bar * step * phi).sum(-2),)
    wanted = (*wanted[:2], wanted[2].sum(-2))
    for gradient, exact, scale in zip(grads, wanted, sizes, strict=True):
        assert (np.abs(gradient - exact) <= (48 + 2 * np.abs(x).max()) * unit * scale + tiny).all()


def test_bad_input_is_named():
    delta, A, B = draw(0, SHAPES["of the input"], False)
    with pytest.raises(ValueError, match=r"delta has shape \(2, 4, 2\) and A \(3, 2\)"):
        zoh(delta[..., :2], A, B)
    with pytest.raises(ValueError, match=r"B has shape \(2, 4, 1\), expected"):
        zoh_euler(delta, A, B[..., :1])
    with pytest.raises(TypeError, match="A has dtype float32"):
        euler(delta, A.astype(np.float32), B)
    with pytest.raises(TypeError, match="delta has dtype int64"):
        bilinear(delta.astype(np.int64), A, B)


@every_method
def test_a_growing_system_overflows_to_inf_and_no_warning(method, backward):
    A_bar, B_bar, cache = method(np.full(1, 1e5), np.full((1, 1), 1e5), np.ones((1, 1)))
    backward(np.ones_like(A_bar), np.ones_like(B_bar), cache)
    assert method in (bilinear, euler) or np.isinf(A_bar).all()
