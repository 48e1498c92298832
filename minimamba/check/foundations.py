"""Exercises of tutorial 00: adjoints, and how to check a gradient."""

import numpy as np

from minimamba.check.grade import Exercise, Mistake
from minimamba.ops.elementwise import sigmoid, silu, silu_backward, softplus
from minimamba.ops.linear import LinearParams, linear, linear_backward


def _draw_linear(rng):
    b, l, d = rng.integers(1, 4), rng.integers(1, 5), rng.integers(2, 5)
    return rng.normal(size=(b, l, d)), rng.normal(size=(b, l, d)), rng.normal(size=(d, d))


def _linear_gradients(dy, x, weight):
    _, cache = linear(x, LinearParams(weight, np.zeros(weight.shape[1])))
    dx, dp = linear_backward(dy, cache)
    return dx, dp.weight, dp.bias


def _swapped(dy, x, weight):
    dx, dweight, dbias = _linear_gradients(dy, x, weight)
    return dx, dweight.T, dbias


def _not_transposed(dy, x, weight):
    return (dy @ weight, *_linear_gradients(dy, x, weight)[1:])


def _averaged(dy, x, weight):
    dx, dweight, dbias = _linear_gradients(dy, x, weight)
    rows = x.shape[0] * x.shape[1]
    return dx, dweight / rows, dbias / rows


linear_gradients = Exercise(
    "The gradients of a linear map",
    _linear_gradients,
    _draw_linear,
    "make rows of everything, `x.reshape(-1, d)`, then use Eq. (0.7).",
    (
        Mistake("the operands of dW are swapped: it is x^T dy, not dy^T x.", _swapped),
        Mistake("dx needs the transpose of the weight: dy W^T, Eq. (0.7).", _not_transposed),
        Mistake("the rows are averaged; a gradient of a shared weight is their sum.", _averaged),
    ),
)


def _draw_far(rng):
    return (np.concatenate([[-800.0, -40.0, 0.0, 40.0, 800.0], rng.normal(size=4)]),)


def _relative(reference):
    """Return the bound of a function whose every value must be right to 8 roundings."""
    return lambda *arguments: (8 * np.finfo(float).eps * np.abs(reference(*arguments)),)


stable_softplus = Exercise(
    "Softplus for every number",
    lambda x: softplus(x)[0],
    _draw_far,
    "pull the large part out: log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)).",
    (
        Mistake(
            "exp(x) overflows for large x: only exp of something negative is safe.",
            lambda x: np.log(1 + np.exp(x)),
        ),
        Mistake(
            "1 + exp(-40) is 1 in float64, so its logarithm is lost: use np.log1p.",
            lambda x: np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x))),
        ),
    ),
    _relative(lambda x: softplus(x)[0]),
)


silu_gradient = Exercise(
    "The gradient of silu",
    lambda dy, x: silu_backward(dy, silu(x)[1]),
    lambda rng: (rng.normal(size=(2, 5)), rng.normal(size=(2, 5))),
    "silu is a product, x times sigmoid(x): differentiate both factors, Eq. (0.8).",
    (
        Mistake("only one factor is differentiated.", lambda dy, x: dy * sigmoid(x)[0]),
        Mistake(
            "this is the local slope; it must be multiplied by dy, which arrives from outside.",
            lambda dy, x: silu_backward(np.ones_like(dy), silu(x)[1]),
        ),
    ),
)


def _cube(x):
    return x**3 + 2 * x


def _draw_point(rng):
    return _cube, rng.normal(size=4), rng.normal(size=4)


complex_step = Exercise(
    "The complex step",
    lambda f, x, v: (3 * x**2 + 2) * v,
    _draw_point,
    "evaluate f at x + 1j * step * v with a tiny step, and look at the imaginary part, Eq. (0.5).",
    (
        Mistake("the real part is f(x) itself; the tangent is in the imaginary part.",
                lambda f, x, v: f(x)),
        Mistake("this is the tangent of a direction of ones: v is left out.",
                lambda f, x, v: 3 * x**2 + 2),
        Mistake("the imaginary part must be divided by the step.",
                lambda f, x, v: (3 * x**2 + 2) * v * 1e-30),
    ),
    lambda f, x, v: (1e-13 * np.abs((3 * x**2 + 2) * v),),
)  # fmt: skip


def _from_the_end(dy):
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


cumsum_adjoint = Exercise(
    "The adjoint of the cumulative sum",
    _from_the_end,
    lambda rng: (rng.normal(size=(2, rng.integers(3, 9))),),
    "x_s enters y_s, y_{s+1}, ... up to the last: which of the dy flow back to it?",
    (
        Mistake("this is the map itself; its adjoint sums from the end.",
                lambda dy: np.cumsum(dy, axis=1)),
        Mistake("a flip is missing: turn the result back into the order of time.",
                lambda dy: _from_the_end(dy)[:, ::-1]),
    ),
)  # fmt: skip
