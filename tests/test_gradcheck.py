"""The checkers on functions whose derivatives are known, right and wrong."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from minimamba.gradcheck import (
    central_difference,
    check_adjoint,
    check_vjp,
    complex_step,
    inner,
)

EPS = np.finfo(float).eps


class Pair(NamedTuple):
    big: np.ndarray
    small: np.ndarray


def cube(x):
    return x**3, x


def cube_backward(dy, x):
    return dy * 3 * x * x


def mix(x, p):
    """Two outputs, one of them a tree, of two inputs, one of them a tree with a small leaf."""
    total = x.sum() * p.big
    return total, (x * 1e-8 * p.small, None), (x, p)


def mix_backward(dtotal, dparts, cache):
    x, p = cache
    dx = (dtotal * p.big).sum() + dparts[0] * 1e-8 * p.small
    return dx, Pair(x.sum() * dtotal, (dparts[0] * 1e-8 * x).sum(keepdims=True))


def inputs():
    rng = np.random.default_rng(0)
    return rng.standard_normal(4), Pair(rng.standard_normal(3), rng.standard_normal(1))


def test_the_complex_step_is_exact_to_rounding():
    x, v = np.linspace(-2, 2, 9), np.ones(9)
    (slope,) = complex_step(cube, (x,), (v,))
    np.testing.assert_allclose(slope, 3 * x * x, rtol=0, atol=4 * 12 * EPS)


def test_the_central_difference_errs_by_the_square_of_its_step():
    x, v = np.linspace(-2, 2, 9), np.ones(9)
    for step in (1.0, 0.5):  # (x + s)^3 - (x - s)^3 = 2 s (3 x^2 + s^2)
        (slope,) = central_difference(cube, (x,), (v,), step=step)
        np.testing.assert_allclose(slope - 3 * x * x, step**2, rtol=0, atol=4 * 27 * EPS)


def test_a_right_pair_passes_and_reports_every_leaf():
    errors = check_vjp(mix, mix_backward, inputs())
    assert list(errors) == ["x", "p.big", "p.small"]
    assert max(errors.values()) <= 20 * EPS


@pytest.mark.parametrize("leaf", ["big", "small"])
def test_a_wrong_leaf_is_named_however_small_it_is(leaf):
    def wrong(*args):
        dx, dp = mix_backward(*args)
        return dx, dp._replace(**{leaf: 1.001 * getattr(dp, leaf)})

    with pytest.raises(AssertionError, match=rf"^the gradient of p\.{leaf} is wrong: .*tolerance"):
        check_vjp(mix, wrong, inputs())


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda dy, x: np.full(3, np.nan), "the gradient of x is wrong"),
        (lambda dy, x: dy[:2], r"the gradient of x has shape \(2,\), expected \(3,\)"),
        (lambda dy, x: None, "x has no gradient"),
    ],
)
def test_a_gradient_that_is_none_or_nan_or_misshapen_is_found(wrong, words):
    with pytest.raises(AssertionError, match=words):
        check_vjp(cube, wrong, (np.ones(3),))


def test_gradients_for_other_inputs_than_given_are_found():
    with pytest.raises(AssertionError, match="2 inputs, but 3 gradients"):
        check_vjp(mix, lambda *args: (*mix_backward(*args), 0), inputs())


def test_inputs_drawn_like_the_directions_do_not_blind_the_check():
    """An antisymmetric gradient vanishes along the inputs themselves; it once passed unseen."""
    skew = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal(2)
        with pytest.raises(AssertionError, match="is wrong"):
            check_vjp(lambda x: (x, x), lambda dy, x: dy + 0.01 * skew @ x, (x,))


def test_complex_inputs_follow_the_convention_of_real_and_imaginary_parts():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 5)) + 1j * rng.standard_normal((2, 5))

    def product(x, y):
        return x * y, (x, y)

    def backward(dz, cache, conjugate=np.conj):
        return dz * conjugate(cache[1]), dz * conjugate(cache[0])

    exact = partial(central_difference, step=1.0)  # linear in each factor
    check_vjp(product, backward, (x, y), exact, tolerance=40 * EPS)
    with pytest.raises(AssertionError, match="is wrong"):
        check_vjp(product, partial(backward, conjugate=lambda v: v), (x, y), exact)


def test_integers_have_no_gradient():
    with pytest.raises(TypeError, match="x has dtype int64: only floating inputs have gradients"):
        check_vjp(cube, cube_backward, (np.arange(3, dtype=np.int64),))


def test_a_function_without_parameter_names_gets_numbers():
    assert list(check_vjp(lambda *args: mix(*args), mix_backward, inputs())) == [
        "0",
        "1.big",
        "1.small",
    ]


def test_the_adjoint_of_a_matrix_is_its_transpose():
    rng = np.random.default_rng(2)
    W, x, dy = (rng.standard_normal(s) for s in ((3, 4), (5, 3), (5, 4)))
    check_adjoint(lambda x: x @ W, lambda dy: dy @ W.T, x, dy)
    with pytest.raises(AssertionError, match=r"^the maps are not adjoint: <op"):
        check_adjoint(lambda x: x @ W, lambda dy: dy @ (W.T * 1.001), x, dy)
    with pytest.raises(AssertionError, match="nan"):
        check_adjoint(lambda x: x @ W, lambda dy: dy @ W.T * np.nan, x, dy)


def test_the_inner_product_is_real_and_knows_how_large_its_terms_were():
    x, y = np.array([1 + 1j, 2.0]), np.array([1 - 1j, -3.0])
    assert inner(x, y) == (-6.0, 6.0)
    assert inner((x, None), (x, None)) == (6.0, 6.0)
