"""The spectral filter on the GPU, in array code: a matrix product for short windows, or cuFFT.

Both compute Eq. (10.2). `circulant` multiplies by the matrix of the circular convolution,
Eq. (10.3), one for each channel: at 50 steps its l multiply-adds a number cost a GPU less than
reading the number, and it takes two launches in place of seven. `fourier` transforms along the
last axis and scales once; CuPy keeps the cuFFT plans of the last 16 shapes, so feed whole batches.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops.spectral import FilterParams

LONGEST_CIRCULANT = 128  # steps; from the counts in docs/gpu.md, unmeasured


class CirculantCache(NamedTuple):
    """What `backward` needs after `circulant`."""

    x: Array  # (d, b, l)
    matrix: Array  # (d, l, l)
    p: FilterParams


class FourierCache(NamedTuple):
    """What `backward` needs after `fourier`."""

    spectrum: Array  # (b, d, f), complex
    p: FilterParams


def forward(x, p):
    """Filter x (b, l, d) by whichever way its length suits; like `spectral_filter`, Eq. (10.2)."""
    l, d = x.shape[1:]
    if p.re.shape != (l // 2 + 1, d) or p.im.shape != p.re.shape:
        raise ValueError(
            f"spectral_filter: a window of {l} steps and {d} channels needs re and im of "
            f"{(l // 2 + 1, d)}, got {p.re.shape} and {p.im.shape}"
        )
    return (circulant if l <= LONGEST_CIRCULANT else fourier)(x, p)


def backward(dy, cache):
    """Pull dy back to (dx, dp), Eqs. (10.4) and (10.5)."""
    made = circulant_backward if isinstance(cache, CirculantCache) else fourier_backward
    return made(dy, cache)


def circulant(x, p):
    """Filter by one (l, l) matrix a channel, Eq. (10.3).

    Examples
    --------
    >>> import numpy as np
    >>> keep_the_mean = FilterParams(re=np.array([[1.0], [0.0]]), im=np.zeros((2, 1)))
    >>> circulant(np.array([[[1.0], [2.0], [6.0]]]), keep_the_mean)[0][0, :, 0]
    array([3., 3., 3.])
    """
    xp, l = array_namespace(x, *p), x.shape[1]
    taps = xp.fft.irfft((p.re + 1j * p.im).T, n=l, axis=-1).astype(x.dtype)  # (d, l)
    matrix = taps[:, _lags(xp, l)]  # (d, l, l): column t, row s holds tap t - s
    by_channel = xp.ascontiguousarray(x.transpose(2, 0, 1))
    y = by_channel @ matrix
    return y.transpose(1, 2, 0), CirculantCache(by_channel, matrix, p)


def circulant_backward(dy, cache):
    """Pull dy back through `circulant`: two products, and sums along the wrapped diagonals."""
    x, matrix, p = cache
    xp, l = array_namespace(dy), dy.shape[1]
    dy = xp.ascontiguousarray(dy.transpose(2, 0, 1))  # (d, b, l)
    dx = dy @ matrix.transpose(0, 2, 1)
    dmatrix = x.transpose(0, 2, 1) @ dy  # (d, l, l)
    s = xp.arange(l)
    dtaps = dmatrix[:, s, (s + s[:, None]) % l].sum(axis=-1)  # tap k: all pairs with t = s + k
    spectrum = xp.fft.rfft(dtaps, axis=-1).T  # (f, d)
    share = _share(xp, l)[:, None]
    dp = FilterParams((share * spectrum.real), (share * spectrum.imag))
    return dx.transpose(1, 2, 0), _like(dp, p)


def fourier(x, p):
    """Filter by a pair of transforms over the last axis, one scale between them, Eq. (10.2).

    Examples
    --------
    >>> import numpy as np
    >>> keep_the_mean = FilterParams(re=np.array([[1.0], [0.0]]), im=np.zeros((2, 1)))
    >>> fourier(np.array([[[1.0], [2.0], [6.0]]]), keep_the_mean)[0][0, :, 0]
    array([3., 3., 3.])
    """
    xp, l = array_namespace(x, *p), x.shape[1]
    spectrum = xp.fft.rfft(xp.ascontiguousarray(x.transpose(0, 2, 1)), axis=-1)
    response = ((p.re + 1j * p.im).T / l).astype(spectrum.dtype)  # the scale is in the weights
    y = xp.fft.irfft(spectrum * response, n=l, axis=-1, norm="forward")
    return y.astype(x.dtype, copy=False).transpose(0, 2, 1), FourierCache(spectrum, p)


def fourier_backward(dy, cache):
    """Pull dy back through `fourier`, Eqs. (10.4) and (10.5)."""
    spectrum, p = cache
    xp, l = array_namespace(dy), dy.shape[1]
    g = xp.fft.rfft(xp.ascontiguousarray(dy.transpose(0, 2, 1)), axis=-1)  # (b, d, f)
    response = ((p.re - 1j * p.im).T / l).astype(g.dtype)
    dx = xp.fft.irfft(g * response, n=l, axis=-1, norm="forward").astype(dy.dtype, copy=False)
    product = xp.einsum("bdf,bdf->fd", spectrum.conj(), g)
    share = _share(xp, l)[:, None]
    dp = FilterParams(share * product.real, share * product.imag)
    return dx.transpose(0, 2, 1), _like(dp, p)


def _lags(xp, l):
    """Return (l, l): the tap that carries step s (row) to step t (column)."""
    t = xp.arange(l)
    return (t - t[:, None]) % l


def _share(xp, l):
    """Return 1/l for every one of the l bins that a kept bin stands for: one, or two."""
    k = xp.arange(l // 2 + 1)
    return xp.where((k == 0) | (2 * k == l), 1.0, 2.0) / l


def _like(dp, p):
    return FilterParams(dp.re.astype(p.re.dtype), dp.im.astype(p.im.dtype))
