"""Exercises of tutorial 00: adjoints, and how to check a gradient."""

import numpy as np
from check.grade import exercise

from minimamba.ops.elementwise import sigmoid, sigmoid_backward, silu, silu_backward, softplus
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


def _per_sequence(dy, x, weight):
    dx, _, dbias = _linear_gradients(dy, x, weight)
    return dx, x.transpose(0, 2, 1) @ dy, dbias


def _bias_with(shrink):
    return lambda dy, x, weight: (*_linear_gradients(dy, x, weight)[:2], shrink(dy))


def _averaged(dy, x, weight):
    dx, dweight, dbias = _linear_gradients(dy, x, weight)
    rows = x.shape[0] * x.shape[1]
    return dx, dweight / rows, dbias / rows


linear_gradients = exercise(
    "The gradients of a linear map",
    _linear_gradients,
    _draw_linear,
    "make rows of everything, `x.reshape(-1, d)`, then use Eq. (0.7).",
    "the operands of dW are swapped: it is x^T dy, not dy^T x.",
    _swapped,
    "dx needs the transpose of the weight: dy W^T, Eq. (0.7).",
    _not_transposed,
    "the rows are averaged; a gradient of a shared weight is their sum.",
    _averaged,
    "dbias is averaged over the rows; it is their sum.",
    _bias_with(lambda dy: dy.mean(axis=(0, 1))),
    "dW is one for each sequence; all sequences share the weight: sum over the batch too.",
    _per_sequence,
    "dbias is summed over the batch only; it is used at every time as well.",
    _bias_with(lambda dy: dy.sum(axis=0)),
    "dbias is summed over time only; every sequence uses the same bias.",
    _bias_with(lambda dy: dy.sum(axis=1)),
    "dbias is summed over the channels; the bias has one number for each of them.",
    _bias_with(lambda dy: dy.sum(axis=-1)),
)


def _draw_far(rng):
    between = rng.uniform(-36, 36, size=8)  # where shortcuts fail
    return (np.concatenate([[-800.0, -40.0, 0.0, 40.0, 800.0, 20.1], between]),)


def _relative(reference):
    """Return the bound of a function whose every value must be right to 8 roundings."""
    return lambda *arguments: (8 * np.finfo(float).eps * np.abs(reference(*arguments)),)


stable_softplus = exercise(
    "Softplus for every number",
    lambda x: softplus(x)[0],
    _draw_far,
    "pull the large part out: log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)).",
    "exp(x) overflows for large x: only exp of something negative is safe.",
    lambda x: np.log(1 + np.exp(x)),
    "1 + exp(-40) is 1 in float64, so its logarithm is lost: use np.log1p.",
    lambda x: np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x))),
    "beyond a threshold of 20 there is still exp(-20) = 2e-9 to add to x.",
    lambda x: np.where(x > 20, x, np.log1p(np.exp(x))),
    "this is max(x, 0), without its smooth corner.",
    lambda x: np.maximum(x, 0),
    "this is the slope, sigmoid(x).",
    lambda x: sigmoid(x)[0],
    bound=_relative(lambda x: softplus(x)[0]),
)


def _sigmoid_slope(x):
    return sigmoid_backward(np.ones_like(x), sigmoid(x)[1])


silu_gradient = exercise(
    "The gradient of silu",
    lambda dy, x: silu_backward(dy, silu(x)[1]),
    lambda rng: (rng.normal(size=(2, 5)), rng.normal(size=(2, 5))),
    "silu is a product, x times sigmoid(x): differentiate both factors, Eq. (0.8).",
    "x is differentiated and sigmoid(x) is not: a term is missing.",
    lambda dy, x: dy * sigmoid(x)[0],
    "sigmoid(x) is differentiated and x is not: a term is missing.",
    lambda dy, x: dy * x * _sigmoid_slope(x),
    "this is the slope of sigmoid, without x.",
    lambda dy, x: dy * _sigmoid_slope(x),
    "this is dy times silu itself, not its slope.",
    lambda dy, x: dy * silu(x)[0],
    "the slope of the sigmoid is s (1 - s), not s s.",
    lambda dy, x: dy * sigmoid(x)[0] * (1 + x * sigmoid(x)[0]),
    "this is the local slope; it must be multiplied by dy, which arrives from outside.",
    lambda dy, x: silu_backward(np.ones_like(dy), silu(x)[1]),
)


def _cubes(x):
    return x**3 * x.sum()  # every output depends on every input


def _tangent(f, x, v):
    return 3 * x**2 * v * x.sum() + x**3 * v.sum()


def _tangent_size(f, x, v):
    return 1e-13 * (3 * x**2 * np.abs(v) * np.abs(x).sum() + np.abs(x) ** 3 * np.abs(v).sum())


complex_step = exercise(
    "The complex step",
    _tangent,
    lambda rng: (_cubes, rng.normal(size=4), rng.normal(size=4)),
    "not a difference: Eq. (0.5), the imaginary part of f(x + 1j * step * v), the step tiny.",
    "the real part is f(x) itself; the tangent is in the imaginary part.",
    lambda f, x, v: f(x),
    "this is the tangent of a direction of ones: v is left out.",
    lambda f, x, v: _tangent(f, x, np.ones_like(v)),
    "v must move x inside of f: x[0] moves every output, not only the first.",
    lambda f, x, v: v * _tangent(f, x, np.ones_like(v)),
    "nothing is left: divide the imaginary part by the step, and give the step its 1j.",
    lambda f, x, v: 0 * x,
    "this is x + 1j * v, a step of 1; only a tiny one is exact.",
    lambda f, x, v: f(x + 1j * v).imag,
    bound=lambda *arguments: (_tangent_size(*arguments),),
)


def _from_the_end(dy):
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


cumsum_adjoint = exercise(
    "The adjoint of the cumulative sum",
    _from_the_end,
    lambda rng: (rng.normal(size=(2, rng.integers(3, 9))),),
    "x_s enters y_s, y_{s+1}, ... up to the last: which of the dy flow back to it?",
    "this is the map itself; its adjoint sums from the end.",
    lambda dy: np.cumsum(dy, axis=1),
    "a flip is missing: turn the result back into the order of time.",
    lambda dy: _from_the_end(dy)[:, ::-1],
    "the sum begins one step late: x_s enters y_s itself, too.",
    lambda dy: _from_the_end(dy) - dy,
    "this sums over the batch; time is axis 1.",
    lambda dy: np.cumsum(dy[::-1], axis=0)[::-1],
)


def _draw_identity(rng):
    return _cubes, _spoiled, *rng.normal(size=(3, 4))


def _pulled(w, x):
    return 3 * x**2 * w * x.sum() + (w * x**3).sum()


def _spoiled(w, x):
    return 1.03 * _pulled(w, x)


def _gap(f, backward, x, v, w):
    return (w * _tangent(f, x, v)).sum() - (backward(w, x) * v).sum()


identity_gap = exercise(
    "The two sides of the adjoint identity",
    _gap,
    _draw_identity,
    "w times the tangent of f along v, summed, minus backward(w, x) times v, summed.",
    "the left side needs the tangent of f, not its value.",
    lambda f, backward, x, v, w: (w * f(x)).sum() - (backward(w, x) * v).sum(),
    "v and w have changed places: w goes into backward, v into the complex step.",
    lambda f, backward, x, v, w: _gap(f, backward, x, w, v),
    "only the left side is there.",
    lambda f, backward, x, v, w: (w * _tangent(f, x, v)).sum(),
    "only the right side is there.",
    lambda f, backward, x, v, w: (backward(w, x) * v).sum(),
    "the products are not summed; an inner product is one number.",
    lambda f, backward, x, v, w: w * _tangent(f, x, v) - backward(w, x) * v,
    "backward is given x and w in the wrong order: it takes (dy, x).",
    lambda f, backward, x, v, w: (w * _tangent(f, x, v)).sum() - (backward(x, w) * v).sum(),
    bound=lambda f, backward, x, v, w: (
        (np.abs(w) * _tangent_size(f, x, v)).sum() + 1e-13 * np.abs(backward(w, x) * v).sum(),
    ),
)
