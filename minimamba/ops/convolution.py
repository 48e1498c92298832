"""Causal convolution, directly and by FFT, and the circular one that an FFT alone computes.

A time-invariant system is a convolution with its impulse response. Direct sums cost l^2 and are
accurate in every element; the FFT costs l log(l) and is accurate relative to the largest element.
Both are functions `convolve(u, K) -> y`, to be passed to `causal_convolution`.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops._checks import check_floating


class ConvolutionCache(NamedTuple):
    """What the backward of a convolution needs: its two factors."""

    u: Array  # (b, l, e)
    K: Array  # (k, e)


def convolve_direct(u, K):
    """Return y_t = sum_j K_j u_{t-j}, tap by tap, Eq. (5.2).

    Parameters
    ----------
    u : array, shape (b, l, e)
    K : array, shape (k, e)
        The response to a unit impulse; taps beyond l meet nothing.

    Returns
    -------
    y : array, shape (b, l, e)

    Examples
    --------
    >>> import numpy as np
    >>> u, K = np.array([[[1.0], [0.0], [2.0]]]), np.array([[3.0], [1.0]])
    >>> convolve_direct(u, K)[0, :, 0]
    array([3., 1., 6.])
    """
    y = array_namespace(u, K).zeros_like(u)
    l = u.shape[1]
    for j in range(min(len(K), l)):
        y[:, j:] += K[j] * u[:, : l - j]
    return y


def convolve_fft(u, K):
    """Return y_t = sum_j K_j u_{t-j} by FFT, Eq. (5.3).

    Both factors are padded with zeros to at least l + k - 1, so that nothing wraps around.
    Arguments and result are those of `convolve_direct`.

    Examples
    --------
    >>> import numpy as np
    >>> u, K = np.array([[[1.0], [0.0], [2.0]]]), np.array([[3.0], [1.0]])
    >>> convolve_fft(u, K)[0, :, 0].round(12)
    array([3., 1., 6.])
    """
    l = u.shape[1]
    K = K[:l]
    padded = 1 << max(0, (l + len(K) - 2)).bit_length()  # a power of two, at least l + k - 1
    return _product_of_spectra(u, K, padded)[:, :l]


def _product_of_spectra(u, K, length):
    """Return the circular convolution of the given length, zeros appended: Eq. (5.4) by FFT."""
    xp = array_namespace(u, K)
    if u.size == 0 or K.size == 0:
        return xp.zeros((u.shape[0], length, u.shape[2]), u.dtype)
    if xp.iscomplexobj(u) or xp.iscomplexobj(K):
        spectrum = xp.fft.fft(u, length, axis=1) * xp.fft.fft(K, length, axis=-2)
        return xp.fft.ifft(spectrum, length, axis=1)
    spectrum = xp.fft.rfft(u, length, axis=1) * xp.fft.rfft(K, length, axis=-2)
    return xp.fft.irfft(spectrum, length, axis=1)


def causal_convolution(u, K, convolve=convolve_fft):
    """Convolve every channel with its own response, causally, Eq. (5.2).

    Parameters
    ----------
    u : array, shape (b, l, e)
    K : array, shape (k, e)
        What `impulse_response` gives.
    convolve : callable
        `convolve_fft` or `convolve_direct`.

    Returns
    -------
    y : array, shape (b, l, e)
    cache : ConvolutionCache

    Raises
    ------
    ValueError, TypeError
        If the channels differ, or the dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> u, K = np.array([[[1.0], [0.0], [2.0]]]), np.array([[3.0], [1.0]])
    >>> causal_convolution(u, K, convolve_direct)[0][0, :, 0]
    array([3., 1., 6.])
    """
    _check(u, K)
    return convolve(u, K), ConvolutionCache(u, K)


def causal_convolution_backward(dy, cache, convolve=convolve_fft):
    """Pull dy back to (du, dK), Eq. (5.6): the same convolution, run from the end.

    du_s = sum_t conj(K_{t-s}) dy_t and dK_j = sum_t conj(u_{t-j}) dy_t: with time reversed both
    are causal convolutions of dy.

    Examples
    --------
    >>> import numpy as np
    >>> u, K = np.array([[[1.0], [0.0], [2.0]]]), np.array([[3.0], [1.0]])
    >>> y, cache = causal_convolution(u, K)
    >>> du, dK = causal_convolution_backward(np.ones_like(y), cache, convolve_direct)
    >>> du[0, :, 0], dK[:, 0]
    (array([4., 4., 3.]), array([3., 1.]))
    """
    u, K = cache
    b, l, e = u.shape
    reversed_dy = dy[:, ::-1]
    du = convolve(reversed_dy, K.conj())[:, ::-1]
    # Tap j is where dy, reversed, meets u shifted by j: position l - 1 - j of a convolution, for
    # which every row is a channel of its own.
    taps = convolve(_rows_as_channels(reversed_dy)[None], _rows_as_channels(u.conj()))[0, ::-1]
    dK = array_namespace(dy).zeros_like(K)
    dK[:l] = taps.reshape(l, b, e).sum(axis=1)[: len(K)]
    return du, dK


def _rows_as_channels(x):
    """Return (b, l, e) as (l, b e)."""
    b, l, e = x.shape
    return array_namespace(x).swapaxes(x, 0, 1).reshape(l, b * e)


def circular_convolution(u, K):
    """Convolve around a circle of l positions, Eq. (5.4): not causal, the end leaks into the start.

    This is what multiplying spectra computes when nothing is padded. It is another operation than
    `causal_convolution`, and is here to be told apart from it.

    Parameters
    ----------
    u : array, shape (b, l, e)
    K : array, shape (l, e)

    Returns
    -------
    y : array, shape (b, l, e)
    cache : ConvolutionCache

    Raises
    ------
    ValueError, TypeError
        If K has another length or other channels than u, or another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> u, K = np.array([[[1.0], [0.0], [2.0]]]), np.array([[3.0], [1.0], [0.0]])
    >>> circular_convolution(u, K)[0][0, :, 0].round(12)      # the first output has met the last u
    array([5., 1., 6.])
    """
    _check(u, K)
    if len(K) != u.shape[1]:
        raise ValueError(f"K has shape {K.shape}, expected {u.shape[1:]} to fit u {u.shape}")
    return _product_of_spectra(u, K, u.shape[1]), ConvolutionCache(u, K)


def circular_convolution_backward(dy, cache):
    """Pull dy back to (du, dK), Eq. (5.6) with indices modulo l: circular correlations."""
    u, K = cache
    du = _product_of_spectra(dy, _around(K.conj(), 0), dy.shape[1])
    dK = _product_of_spectra(dy, _around(u.conj(), 1), dy.shape[1])
    return du, dK.sum(axis=0)


def _around(x, axis):
    """Return x at position -t modulo l: the first stays first, the others change direction."""
    xp = array_namespace(x)
    return xp.roll(xp.flip(x, axis), 1, axis)


def _check(u, K):
    check_floating({"u": u, "K": K}, kinds="fc")
    if u.ndim != 3:
        raise ValueError(f"u has shape {u.shape}, expected (b, l, e)")
    if K.ndim != 2 or K.shape[1] != u.shape[2]:
        raise ValueError(f"K has shape {K.shape}, expected (k, {u.shape[2]}) to fit u {u.shape}")
