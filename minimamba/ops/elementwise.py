"""Elementwise nonlinearities with their derivatives: sigmoid, silu, softplus, gelu.

Exact for every real argument: no overflow, no cancellation, full accuracy in the tails. Each also
takes complex arguments near the real axis, analytically, so that the complex step (Eq. (0.5))
passes through; the branches look at the real part only.
"""

from math import ceil, exp, log, pi, sqrt
from typing import NamedTuple

from minimamba.arrays import Array, array_namespace


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), Eq. (0.8).

    Parameters
    ----------
    x : array, any shape

    Returns
    -------
    y : array, the shape of x
    cache : array
        y itself: the derivative is y (1 - y).

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))[0]
    array([0. , 0.5, 1. ])
    """
    xp = array_namespace(x)
    e = xp.exp(-_abs(x))  # at most 1: never overflows
    y = _where_negative(x, e)  # e / (1 + e) left of 0, 1 / (1 + e) right of it
    e += 1  # in place where it costs no clarity: fresh memory is what large arrays wait for
    y /= e
    return y, y


def sigmoid_backward(dy, cache):
    """Pull dy back: dx = dy y (1 - y), Eq. (0.8)."""
    y = cache
    return dy * y * (1 - y)


class SiluCache(NamedTuple):
    """What `silu_backward` needs."""

    x: Array  # any shape
    s: Array  # sigmoid(x)


def silu(x):
    """Return x sigmoid(x), Eq. (0.8).

    Parameters
    ----------
    x : array, any shape

    Returns
    -------
    y : array, the shape of x
    cache : SiluCache

    Examples
    --------
    >>> silu(np.array([-1000.0, 0.0, 1000.0]))[0]
    array([  -0.,    0., 1000.])
    """
    s, _ = sigmoid(x)
    return x * s, SiluCache(x, s)


def silu_backward(dy, cache):
    """Pull dy back: dx = dy s (1 + x (1 - s)), Eq. (0.8)."""
    x, s = cache
    return dy * (s * (1 + x * (1 - s)))


def softplus(x):
    """Return log(1 + exp(x)), to a few units in the last place for every x, Eq. (0.9).

    It is max(x, 0) + log(1 + e) with e = exp(-|x|). The logarithm is taken of w = fl(1 + e), and
    e - (w - 1), which is exact, puts back what rounding to w has lost: as good as log1p to half a
    unit, and in float32 several times faster.

    Parameters
    ----------
    x : array, any shape

    Returns
    -------
    y : array, the shape of x
    cache : array
        x.

    Examples
    --------
    >>> softplus(np.array([-100.0, 0.0, 1000.0]))[0]
    array([3.72007598e-44, 6.93147181e-01, 1.00000000e+03])
    """
    xp = array_namespace(x)
    e = xp.exp(-_abs(x))
    w = 1 + e
    y = xp.log(w)
    w -= 1
    e -= w  # what w has lost
    y += e
    y += _positive_part(x)
    return y, x


def softplus_backward(dy, cache):
    """Pull dy back: dx = dy sigmoid(x), Eq. (0.9)."""
    return dy * sigmoid(cache)[0]


class GeluCache(NamedTuple):
    """What `gelu_backward` needs."""

    x: Array  # any shape
    phi: Array  # the normal distribution function at x


def gelu(x):
    """Return x Phi(x), Phi the normal distribution function, Eq. (0.10).

    The exact form, by an error function of our own (NumPy has none); `gelu_tanh` is the
    approximation that some models use instead.

    Parameters
    ----------
    x : array, any shape

    Returns
    -------
    y : array, the shape of x
    cache : GeluCache

    Examples
    --------
    >>> gelu(np.array([-10.0, 0.0, 1.0]))[0]
    array([-7.61985302e-23,  0.00000000e+00,  8.41344746e-01])
    """
    phi = _normal_cdf(x)
    return x * phi, GeluCache(x, phi)


def gelu_backward(dy, cache):
    """Pull dy back: dx = dy (Phi + x exp(-x^2 / 2) / sqrt(2 pi)), Eq. (0.10)."""
    x, phi = cache
    near = _clip(x, 60.0)  # exp(-60^2 / 2) is 0: beyond, only x^2 could overflow
    return dy * (phi + near * array_namespace(x).exp(-0.5 * near * near) / sqrt(2 * pi))


class GeluTanhCache(NamedTuple):
    """What `gelu_tanh_backward` needs."""

    x: Array  # any shape
    t: Array  # the tanh


def gelu_tanh(x):
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, Eq. (0.10a): gelu to 5e-4.

    Parameters
    ----------
    x : array, any shape

    Returns
    -------
    y : array, the shape of x
    cache : GeluTanhCache

    Examples
    --------
    >>> gelu_tanh(np.array([-10.0, 0.0, 1.0]))[0].round(6)
    array([-0.      ,  0.      ,  0.841192])
    """
    near = _clip(x, 20.0)  # tanh is 1 long before; beyond, x^3 could overflow
    t = array_namespace(x).tanh(sqrt(2 / pi) * (near + 0.044715 * near * near * near))
    return 0.5 * x * (1 + t), GeluTanhCache(x, t)


def gelu_tanh_backward(dy, cache):
    """Pull dy back through the tanh form, Eq. (0.10a)."""
    x, t = cache
    near = _clip(x, 20.0)
    slope = sqrt(2 / pi) * (1 + 3 * 0.044715 * near * near)  # of the argument of tanh
    return dy * 0.5 * (1 + t + near * (1 - t * t) * slope)


def _normal_cdf(x):
    """Return Phi(x), also in the far lower tail to a few units in the last place (times x^2).

    Phi(-x) = erfc(a) / 2 with a = x / sqrt(2), and erfc is an integral of exp(-s^2) / (a^2 + s^2)
    over the real line. The midpoint rule with step h errs by exp(-(pi / h)^2) only, once the
    residue q / (1 + q), q = exp(-2 pi a / h), of the pole at s = i a is added (for a < pi / h).
    All terms are positive, so nothing cancels.
    """
    xp = array_namespace(x)
    accuracy = -log(float(xp.finfo(x.dtype).eps) / 4)
    h = pi / sqrt(accuracy)
    terms = ceil(sqrt(accuracy) / h)  # exp(-s^2) beyond them is below eps / 4
    a = _clip(_abs(x) / sqrt(2), 40.0)  # erfc(40) is 0
    square = a * a
    nodes = [((j + 0.5) * h) ** 2 for j in range(terms)]
    total = sum(exp(-s) / (square + s) for s in nodes)
    q = xp.exp(a * (-2 * pi / h)) * (a.real < pi / h)
    tail = a * xp.exp(-square) * total * (h / pi) + q / (1 + q)  # Phi(-|x|)
    return xp.where(x.real < 0, tail, 1 - tail)


def _abs(x):
    """Return |x|, continued analytically from the real axis: x or -x by the sign of its real part.

    The modulus of a complex number would lose the derivative that a complex step carries.
    """
    xp = array_namespace(x)
    return xp.where(x.real < 0, -x, x) if xp.iscomplexobj(x) else xp.abs(x)


def _where_negative(x, e):
    """Return e where x is negative and 1 elsewhere, given that e is at most 1."""
    xp = array_namespace(x)
    return xp.where(x.real < 0, e, 1) if xp.iscomplexobj(x) else xp.maximum(e, x >= 0)


def _positive_part(x):
    """Return max(x, 0), by the sign of the real part."""
    xp = array_namespace(x)
    return xp.where(x.real < 0, 0, x) if xp.iscomplexobj(x) else xp.maximum(x, 0)


def _clip(x, bound):
    """Return x with its real part kept within [-bound, bound]."""
    xp = array_namespace(x)
    if not xp.iscomplexobj(x):
        return xp.clip(x, -bound, bound)
    return xp.where(xp.abs(x.real) > bound, xp.sign(x.real) * bound, x)
