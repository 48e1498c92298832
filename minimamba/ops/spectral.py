"""The learnable filter over frequencies of EchoMamba4Rec, and its streamable sibling.

A spectrum is a pair of real arrays (re, im) with f = l // 2 + 1 bins, of any length l, odd ones
too. The pair of transforms is the unnormalised one; the two factors of the orthonormal one, in the
released model, cancel.
"""

from math import pi
from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.dispatch import dispatch
from minimamba.ops.conv import (
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
    causal_conv1d_step,
)


class FilterParams(NamedTuple):
    """A complex response for every bin and channel, as two real arrays."""

    re: Array  # (f, d)
    im: Array  # (f, d); without effect at bin 0 and, for even l, at the last bin


class SpectralCache(NamedTuple):
    """What `spectral_filter_backward` needs."""

    x_re: Array  # (b, f, d)
    x_im: Array  # (b, f, d)
    p: FilterParams


def spectral_filter(x, p):
    """Multiply the spectrum of every channel by a learnt response, Eq. (10.2).

    The same as a circular convolution over the window, Eq. (10.3): every position sees every
    other, so the filter has no step; `causal_filter` has.

    Parameters
    ----------
    x : array, shape (b, l, d)
    p : FilterParams
        Of l // 2 + 1 bins.

    Returns
    -------
    y : array, shape (b, l, d)
    cache : SpectralCache

    Raises
    ------
    ValueError
        When the bins do not fit the length, the channels differ, or there is no step.

    Examples
    --------
    >>> import numpy as np
    >>> keep_the_mean = FilterParams(re=np.array([[1.0], [0.0]]), im=np.zeros((2, 1)))
    >>> spectral_filter(np.array([[[1.0], [2.0], [6.0]]]), keep_the_mean)[0][0, :, 0]
    array([3., 3., 3.])

    References
    ----------
    Wang et al., "EchoMamba4Rec", arXiv:2406.02638; the filter is that of FMLP-Rec,
    Zhou et al., arXiv:2202.13556.
    """
    array_namespace(x, *p)
    l, d = x.shape[1:]
    if l == 0:
        raise ValueError(f"spectral_filter: x is {x.shape}, expected a window of at least one step")
    kernel = dispatch("spectral_filter", x, *p)
    if kernel is not None:
        return kernel(x, p)
    if p.re.shape != (l // 2 + 1, d) or p.im.shape != p.re.shape:
        raise ValueError(
            f"spectral_filter: a window of {l} steps and {d} channels needs re and im of "
            f"{(l // 2 + 1, d)}, got {p.re.shape} and {p.im.shape}"
        )
    x_re, x_im = _spectrum(x)
    y = _signal(x_re * p.re - x_im * p.im, x_re * p.im + x_im * p.re, l)
    return y, SpectralCache(x_re, x_im, p)


def spectral_filter_backward(dy, cache):
    """Pull dy back to (dx, dp): Eq. (10.4) for dx, Eq. (10.5) for dre and dim.

    dx is dy filtered with the conjugate response. A bin that stands for two (its mirror image is
    not kept) counts twice in the gradient of the response.
    """
    kernel = dispatch("spectral_filter_backward", cache)
    if kernel is not None:
        return kernel(dy, cache)
    x_re, x_im, p = cache
    xp = array_namespace(dy)
    l = dy.shape[1]
    g_re, g_im = _spectrum(dy)
    dx = _signal(g_re * p.re + g_im * p.im, g_im * p.re - g_re * p.im, l)
    share = _multiplicity(xp, l, dy.dtype)[:, None] / l  # (f, 1)
    dre = share * (xp.einsum("bfd,bfd->fd", x_re, g_re) + xp.einsum("bfd,bfd->fd", x_im, g_im))
    dim = share * (xp.einsum("bfd,bfd->fd", x_re, g_im) - xp.einsum("bfd,bfd->fd", x_im, g_re))
    return dx, FilterParams(dre, dim)


def causal_filter(x, taps, state=None):
    """Filter every channel with k taps that look at the past only, Eq. (10.6).

    y_t = sum_j taps[j] x_{t-j}: the circular filter without its wrap-around, so that it can run
    along a stream. Tap j is the weight of the input j steps ago.

    Parameters
    ----------
    x : array, shape (b, l, d)
    taps : array, shape (k, d)
    state : array, shape (b, k - 1, d), optional
        The last k - 1 inputs before x, oldest first; None is zeros.

    Returns
    -------
    y : array, shape (b, l, d)
    state : array, shape (b, k - 1, d)
    cache : ConvCache

    Raises
    ------
    ValueError
        When the channels of x and the taps differ, or the state has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> y, state, _ = causal_filter(np.array([[[1.0], [2.0], [3.0]]]), np.array([[1.0], [10.0]]))
    >>> y[0, :, 0]
    array([ 1., 12., 23.])

    See Also
    --------
    spectral_filter, causal_filter_step
    """
    return causal_conv1d(x, _as_conv(taps), state)


def causal_filter_backward(dy, dstate, cache):
    """Pull (dy, dstate) back to (dx, dtaps, dstate0), Eq. (10.7); dstate may be None."""
    dx, dp, dstate0 = causal_conv1d_backward(dy, dstate, cache)
    return dx, dp.weight.T[::-1], dstate0


def causal_filter_step(x_t, taps, state):
    """Take one step of Eq. (10.6): x_t (b, d) and the state to y_t and the next state.

    Examples
    --------
    >>> import numpy as np
    >>> causal_filter_step(np.array([[2.0]]), np.array([[1.0], [10.0]]), np.array([[[1.0]]]))
    (array([[12.]]), array([[[2.]]]))
    """
    return causal_conv1d_step(x_t, _as_conv(taps), state)


def _as_conv(taps):
    """Return the taps, newest first, as those of a convolution, newest last."""
    return ConvParams(weight=taps[::-1].T, bias=None)


def _spectrum(x):
    """Return re, im (b, f, d) of the real Fourier transform over axis 1, Eq. (10.1)."""
    xp = array_namespace(x)
    l = x.shape[1]
    if _is_dense(l, x.dtype):
        both, f = _dft_matrix(xp, l, x.dtype) @ x, l // 2 + 1
        return both[:, :f], both[:, f:]
    spectrum = xp.fft.rfft(x, axis=1)
    return spectrum.real, spectrum.imag


def _signal(re, im, l):
    """Return the signal (b, l, d) of a spectrum, the inverse in Eq. (10.1)."""
    xp = array_namespace(re)
    if _is_dense(l, re.dtype):
        weight, f = _multiplicity(xp, l, re.dtype) / l, l // 2 + 1
        matrix = _dft_matrix(xp, l, re.dtype).T  # (l, 2 f)
        return (matrix[:, :f] * weight) @ re + (matrix[:, f:] * weight) @ im
    return xp.fft.irfft(re + 1j * im, n=l, axis=1)


def _is_dense(l, dtype):
    """Say whether to transform by a matrix product: for short windows, and for complex signals.

    Measured for (256, l, 64) on one core: the product is twice as fast at l = 50 in float32 and
    slower beyond l = 128; in float64 the two meet at l = 50. A complex signal here is a complex
    step (Eq. (0.5)), to which the product extends as it is.
    """
    return dtype.kind == "c" or l * dtype.itemsize <= 400


def _dft_matrix(xp, l, dtype):
    """Return [cos; -sin] (2 f, l) of Eq. (10.1), with an exact 0 for the sines of the real bins."""
    f = l // 2 + 1
    turns = xp.outer(xp.arange(f), xp.arange(l)) % l  # exact integers: no error grows with l
    angle = turns * (2 * pi / l)
    sine = xp.where(_multiplicity(xp, l, dtype)[:, None] == 1, 0, xp.sin(angle))
    return xp.concatenate([xp.cos(angle), -sine]).astype(_real(dtype))


def _multiplicity(xp, l, dtype):
    """Return how many of the l bins each kept bin stands for: 1, 2, ..., 2 and 1 if l is even."""
    k = xp.arange(l // 2 + 1)
    return xp.where((k == 0) | (2 * k == l), 1, 2).astype(_real(dtype))


def _real(dtype):
    """Return the real dtype of the same precision."""
    return dtype.type(0).real.dtype
