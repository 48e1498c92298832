"""Exercises of tutorial 02: from continuous to discrete time."""

import numpy as np
from check.grade import exercise

from minimamba.ops.discretize import bilinear, euler, zoh_backward, zoh_euler
from minimamba.ops.discretize import zoh as library_zoh
from minimamba.ops.phi import phi1 as library_phi1


def _draw(rng):
    b, l, e, n = rng.integers(1, 3), rng.integers(1, 4), rng.integers(1, 4), rng.integers(1, 4)
    delta, A = rng.uniform(0.1, 2.0, size=(b, l, e)), -rng.uniform(0.1, 2.0, size=(e, n))
    return delta, A, rng.normal(size=(b, l, n))


def _draw_backward(rng):
    delta, A, B = _draw(rng)
    shape = (*delta.shape, A.shape[1])
    return rng.normal(size=shape), rng.normal(size=shape), delta, A, B


def _pair(method):
    return lambda delta, A, B: method(delta, A, B)[:2]


zoh = exercise(
    "Zero-order hold",
    _pair(library_zoh),
    _draw,
    "with x = delta[..., None] * A the answer is exp(x) and delta phi_1(x) B, Eq. (2.3).",
    "this B_bar is delta B, which is Euler's (and Mamba's): the factor phi_1 is missing.",
    _pair(zoh_euler),
    "this is Euler's method, for A_bar and for B_bar.",
    _pair(euler),
    "this is the bilinear method.",
    _pair(bilinear),
    "the delta in front of phi_1 is missing: B_bar must vanish with the step.",
    lambda delta, A, B: (
        library_zoh(delta, A, B)[0],
        library_zoh(delta, A, B)[1] / delta[..., None],
    ),
    "A_bar is Euler's, 1 + delta A, beside a B_bar that is right.",
    lambda delta, A, B: (euler(delta, A, B)[0], library_zoh(delta, A, B)[1]),
    "B_bar lacks the factor B.",
    lambda delta, A, B: library_zoh(delta, A, np.ones_like(B))[:2],
    "B_bar lacks the division by A, the integral of exp(A t).",
    lambda delta, A, B: (
        library_zoh(delta, A, B)[0],
        library_zoh(delta, A, B)[1] * A,
    ),
    "the sign of A is turned: exp(delta A) fades where A is negative.",
    lambda delta, A, B: library_zoh(delta, -A, B)[:2],
)


def _draw_small(rng):
    sizes = 10.0 ** np.concatenate([[-300.0, -17.0, -9.0], rng.uniform(-12, 1, size=6)])
    return (np.concatenate([[0.0], -sizes, sizes]),)


phi1 = exercise(
    "The function phi_1",
    library_phi1,
    _draw_small,
    "NumPy has exp(x) - 1 as one accurate function, expm1; and x = 0 needs its own value.",
    "0 / 0: give phi_1(0) = 1 by itself.",
    lambda x: np.expm1(x) / x,
    "exp(x) - 1 loses its digits for small x (and 0 / 0 is not a number): use np.expm1.",
    lambda x: (np.exp(x) - 1) / x,
    "0 is right now, but exp(x) - 1 loses its digits for small x: use np.expm1.",
    lambda x: np.where(x == 0, 1.0, (np.exp(x) - 1) / np.where(x == 0, 1.0, x)),
    "phi_1(0) is 1, the limit, not 0.",
    lambda x: np.where(x == 0, 0.0, library_phi1(x)),
    "this is exp(x) - 1: the division by x is missing.",
    np.expm1,
    bound=lambda x: (8 * np.finfo(float).eps * np.abs(library_phi1(x)),),
)


def _terms(dA_bar, dB_bar, delta, A, B):
    """Return what the sum over the states adds up, Eq. (2.8)."""
    return (dA_bar * A + dB_bar * B[..., None, :]) * np.exp(delta[..., None] * A)


def _step_gradient(dA_bar, dB_bar, delta, A, B):
    return zoh_backward(dA_bar, dB_bar, library_zoh(delta, A, B)[2])[0]


step_gradient = exercise(
    "The gradient of the step size",
    _step_gradient,
    _draw_backward,
    "delta enters A_bar and B_bar; both slopes hold exp(delta A). Sum over the states, Eq. (2.8).",
    "delta acts through B_bar as well: a term is missing.",
    lambda dA_bar, dB_bar, *rest: _step_gradient(dA_bar, 0 * dB_bar, *rest),
    "delta acts through A_bar as well: a term is missing.",
    lambda dA_bar, dB_bar, *rest: _step_gradient(0 * dA_bar, dB_bar, *rest),
    "this is the slope of Mamba's delta B, not that of zero-order hold.",
    lambda dA_bar, dB_bar, delta, A, B: (
        dA_bar * A * np.exp(delta[..., None] * A) + dB_bar * B[..., None, :]
    ).sum(-1),
    "phi_1 depends on delta too: its slope is missing in the second term.",
    lambda dA_bar, dB_bar, delta, A, B: (
        dA_bar * A * np.exp(delta[..., None] * A)
        + dB_bar * B[..., None, :] * library_phi1(delta[..., None] * A)
    ).sum(-1),
    "this is the slope of Euler's rule: the exponential is missing.",
    lambda dA_bar, dB_bar, delta, A, B: (dA_bar * A + dB_bar * B[..., None, :]).sum(-1),
    "the slope of exp(delta A) by delta is A exp(delta A): the factor A is missing.",
    lambda dA_bar, dB_bar, delta, A, B: _terms(dA_bar / A, dB_bar, delta, A, B).sum(-1),
    "all states share the step: sum over the last axis.",
    _terms,
    "the states are averaged; a gradient of what they share is their sum.",
    lambda *arguments: _terms(*arguments).mean(axis=-1),
    "the sum runs over the channels; the step is shared by the states, the last axis.",
    lambda *arguments: _terms(*arguments).sum(axis=2),
)


largest_euler_step = exercise(
    "The largest stable step of Euler's method",
    lambda A: -2 * A.real / np.abs(A) ** 2,
    lambda rng: (-rng.uniform(0.1, 2, size=6) + 1j * rng.normal(size=6) * 3,),
    "solve |1 + delta A|^2 = 1 for delta, with A = -a + i w.",
    "the imaginary part counts too: a fast rotation makes the step shorter.",
    lambda A: -2 / A.real,
    "this treats A as if it were real: only -2 / A of a real A.",
    lambda A: 2 / np.abs(A),
    "at half of this step there is no overshoot, but the edge of stability is at twice it.",
    lambda A: -A.real / np.abs(A) ** 2,
    "A**2 is a complex number; |A|^2 is the square of np.abs(A).",
    lambda A: -2 * A.real / A**2,
    "a step is a real number; -2 / A is right for a real A only.",
    lambda A: -2 / A,
    "|1 + delta A|^2 - 1 = delta (2 Re A + delta |A|^2): the square of |A| is missing.",
    lambda A: -2 * A.real / np.abs(A),
)
