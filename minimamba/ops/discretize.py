"""From continuous to discrete time: h' = A h + B u becomes h_t = A_bar h_{t-1} + B_bar u_t.

Four methods for a diagonal A, each a pair of functions of x = delta A: A_bar = f(x) and
B_bar = delta w(x) B. They share one forward and one backward; what distinguishes them is f and w:

    zoh        f = exp(x)                  w = (exp(x) - 1) / x        exact for a held input
    bilinear   f = (1 + x/2) / (1 - x/2)   w = 1 / (1 - x/2)           second order
    euler      f = 1 + x                   w = 1                       first order
    zoh_euler  f = exp(x)                  w = 1                       first order, never unstable

"Never unstable" wherever Re A <= 0; delta may be negative, which is time run backwards. A and B may
be complex beside a real delta; gradients are then PyTorch's, Eq. (3.5).
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops._checks import overflow_is_inf
from minimamba.ops.phi import phi1, phi1_slope


class DiscretizeCache(NamedTuple):
    """What the backward of every method needs: the inputs; the rest is computed again."""

    delta: Array  # (..., e)
    A: Array  # (e, n)
    B: Array  # (..., n) or (..., e, n)


def zoh(delta, A, B):
    """Discretize by zero-order hold, Eq. (2.3): exact when the input is constant over a step.

    Accurate for every delta A, through 0 (where it is B_bar = delta B) and for A = 0.

    Parameters
    ----------
    delta : array, shape (..., e)
        Step size, real: (e,) for a constant one, (b, l, e) for one that depends on the input.
    A : array, shape (e, n)
        Diagonal of the continuous system, real or complex.
    B : array, shape (..., n) or (..., e, n)
        Input weights, shared by the channels or of each channel. Leading axes broadcast.

    Returns
    -------
    A_bar, B_bar : array, shape (..., e, n)
    cache : DiscretizeCache

    Examples
    --------
    >>> A_bar, B_bar, _ = zoh(np.array([0.5]), np.array([[-1.0, 0.0]]), np.ones(2))
    >>> A_bar, B_bar
    (array([[0.60653066, 1.        ]]), array([[0.39346934, 0.5       ]]))
    """
    return _discretize(delta, A, B, lambda xp, x: (xp.exp(x), phi1(x)))


def zoh_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB), Eq. (2.8)."""

    def values_and_slopes(xp, x):
        return phi1(x), xp.exp(x), phi1_slope(x)

    return _discretize_backward(dA_bar, dB_bar, cache, values_and_slopes)


def bilinear(delta, A, B):
    """Discretize by the trapezoidal rule, Eq. (2.6): second order, stable where Re A <= 0.

    Parameters, results and errors are those of `zoh`.

    Examples
    --------
    >>> A_bar, B_bar, _ = bilinear(np.array([0.5]), np.array([[-1.0, 0.0]]), np.ones(2))
    >>> A_bar, B_bar
    (array([[0.6, 1. ]]), array([[0.4, 0.5]]))
    """

    def values(xp, x):
        return (1 + x / 2) / (1 - x / 2), 1 / (1 - x / 2)

    return _discretize(delta, A, B, values)


def bilinear_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB), Eq. (2.9)."""

    def values_and_slopes(xp, x):
        w = 1 / (1 - x / 2)
        return w, w * w, w * w / 2

    return _discretize_backward(dA_bar, dB_bar, cache, values_and_slopes)


def euler(delta, A, B):
    """Discretize by one explicit Euler step, Eq. (2.5): first order, unstable for large steps.

    Parameters, results and errors are those of `zoh`.

    Examples
    --------
    >>> A_bar, B_bar, _ = euler(np.array([0.5]), np.array([[-1.0, 0.0]]), np.ones(2))
    >>> A_bar, B_bar
    (array([[0.5, 1. ]]), array([[0.5, 0.5]]))
    """
    return _discretize(delta, A, B, lambda xp, x: (1 + x, xp.ones_like(x)))


def euler_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB), Eq. (2.9)."""

    def values_and_slopes(xp, x):
        return xp.ones_like(x), xp.ones_like(x), xp.zeros_like(x)

    return _discretize_backward(dA_bar, dB_bar, cache, values_and_slopes)


def zoh_euler(delta, A, B):
    """Discretize A by zero-order hold and B by Euler, Eq. (2.7): what Mamba does.

    Parameters, results and errors are those of `zoh`.

    Examples
    --------
    >>> A_bar, B_bar, _ = zoh_euler(np.array([0.5]), np.array([[-1.0, 0.0]]), np.ones(2))
    >>> A_bar, B_bar
    (array([[0.60653066, 1.        ]]), array([[0.5, 0.5]]))
    """
    return _discretize(delta, A, B, lambda xp, x: (xp.exp(x), xp.ones_like(x)))


def zoh_euler_backward(dA_bar, dB_bar, cache):
    """Pull (dA_bar, dB_bar) back to (ddelta, dA, dB), Eq. (2.9)."""

    def values_and_slopes(xp, x):
        return xp.ones_like(x), xp.exp(x), xp.zeros_like(x)

    return _discretize_backward(dA_bar, dB_bar, cache, values_and_slopes)


def _discretize(delta, A, B, values):
    """Return A_bar = f(x), B_bar = delta w(x) B for x = delta A; `values` gives (f, w)."""
    _check(delta, A, B)
    xp = array_namespace(delta, A, B)
    step = delta[..., None]  # (..., e, 1)
    with overflow_is_inf(xp):
        A_bar, w = values(xp, step * A)
        B_bar = step * w * _per_channel(B, delta)
    return A_bar, B_bar, DiscretizeCache(delta, A, B)


def _discretize_backward(dA_bar, dB_bar, cache, values_and_slopes):
    """Mirror `_discretize`, Eq. (2.7a); `values_and_slopes` gives (w, f', w')."""
    delta, A, B = cache
    xp = array_namespace(delta, A, B)
    step, full_B = delta[..., None], _per_channel(B, delta)
    with overflow_is_inf(xp):
        w, f_slope, w_slope = values_and_slopes(xp, step * A)
        dx = dA_bar * f_slope.conj() + dB_bar * (step * w_slope * full_B).conj()
        dstep = dx * A.conj() + dB_bar * (w * full_B).conj()  # delta is used twice
        dB = dB_bar * (step * w).conj()
        ddelta = _sum_to(dstep, step.shape)[..., 0]
        dA = _sum_to(dx * step, A.shape)
        dB = _sum_to(dB, full_B.shape).reshape(B.shape)
    return _like(ddelta, delta), _like(dA, A), _like(dB, B)


def _like(gradient, x):
    """Return the gradient of a real x as a real array: nothing moves x off the real line."""
    return gradient if x.dtype.kind == "c" else gradient.real


def _per_channel(B, delta):
    """Return B with a channel axis: (..., 1, n) where it is shared by the channels."""
    return B if B.ndim == delta.ndim + 1 else B[..., None, :]


def _sum_to(gradient, shape):
    """Sum a gradient over the axes along which its input was broadcast."""
    extra = gradient.ndim - len(shape)
    gradient = gradient.sum(axis=tuple(range(extra)))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=stretched, keepdims=True)


def _check(delta, A, B):
    precision = delta.real.dtype
    if delta.dtype.kind not in "fc":  # complex for the complex step, Eq. (0.5), only
        raise TypeError(f"delta has dtype {delta.dtype}, expected real floating numbers")
    for name, x in (("A", A), ("B", B)):
        if x.dtype.kind not in "fc" or x.real.dtype != precision:
            raise TypeError(
                f"{name} has dtype {x.dtype}, expected real or complex numbers of the precision "
                f"of delta, {precision}"
            )
    if A.ndim != 2 or delta.ndim < 1 or delta.shape[-1] != A.shape[0]:
        raise ValueError(
            f"delta has shape {delta.shape} and A {A.shape}, expected (..., e) and (e, n)"
        )
    shared, own = B.ndim == delta.ndim, B.ndim == delta.ndim + 1
    if not ((shared and B.shape[-1:] == A.shape[1:]) or (own and B.shape[-2:] == A.shape)):
        raise ValueError(
            f"B has shape {B.shape}, expected (..., n) or (..., e, n) to fit delta {delta.shape} "
            f"and A {A.shape}"
        )
