"""The learnable filter over frequencies of EchoMamba4Rec, and its streamable sibling.

A spectrum is a pair of real arrays (re, im) with f = l // 2 + 1 bins, of any length l, odd ones
too. The pair of transforms is the unnormalised one; the two factors of the orthonormal one, in the
released model, cancel.
"""

from math import pi
from typing import NamedTuple

from minimamba.arrays import Array, array_namespace, on_gpu
from minimamba.ops.conv import (
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
    causal_conv1d_step,
)

# Steps. At 50 the l multiply-adds a number cost a GPU less than reading the number, and two
# launches take the place of seven; from the counts in docs/gpu.md, unmeasured.
LONGEST_CIRCULANT = 128


class FilterParams(NamedTuple):
    """A complex response for every bin and channel, as two real arrays."""

    re: Array  # (f, d)
    im: Array  # (f, d); without effect at bin 0 and, for even l, at the last bin


class DenseCache(NamedTuple):
    """What `dense_backward` needs."""

    x_re: Array  # (b, f, d)
    x_im: Array  # (b, f, d)
    p: FilterParams


class FourierCache(NamedTuple):
    """What `fourier_backward` needs."""

    spectrum: Array  # (b, d, f), complex
    p: FilterParams


class CirculantCache(NamedTuple):
    """What `circulant_backward` needs."""

    x: Array  # (d, b, l)
    matrix: Array  # (d, l, l)


def spectral_filter(x, p):
    """Multiply the spectrum of every channel by a learnt response, Eq. (10.2).

    The same as a circular convolution over the window, Eq. (10.3): every position sees every
    other, so the filter has no step; `causal_filter` has. Three ways lead there, `dense`, `fourier`
    and `circulant`; `way` chooses.

    Parameters
    ----------
    x : array, shape (b, l, d)
    p : FilterParams
        Of l // 2 + 1 bins.

    Returns
    -------
    y : array, shape (b, l, d)
    cache : DenseCache, FourierCache or CirculantCache

    Examples
    --------
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
    if p.re.shape != (l // 2 + 1, d) or p.im.shape != p.re.shape:
        raise ValueError(
            f"spectral_filter: a window of {l} steps and {d} channels needs re and im of "
            f"{(l // 2 + 1, d)}, got {p.re.shape} and {p.im.shape}"
        )
    return way(x)(x, p)


def spectral_filter_backward(dy, cache):
    """Pull dy back to (dx, dp): Eq. (10.4) for dx, Eq. (10.5) for dre and dim.

    dx is dy filtered with the conjugate response. A bin that stands for two (its mirror image is
    not kept) counts twice in the gradient of the response.
    """
    return BACKWARD[type(cache)](dy, cache)


def way(x):
    """Return the way that suits x (b, l, d): `dense`, `fourier` or `circulant`.

    On the host a product with the Fourier matrix for short windows: for (256, l, 64) on one core
    it is twice as fast at l = 50 in float32 and slower beyond l = 128; in float64 the two meet at
    l = 50. Also for complex signals, which here are complex steps (Eq. (0.5)): the product extends
    to them as it is. On a GPU the circulant product for short windows: see `LONGEST_CIRCULANT`.
    """
    l = x.shape[1]
    if x.dtype.kind == "c":
        return dense
    if on_gpu(x):
        return circulant if l <= LONGEST_CIRCULANT else fourier
    return dense if l * x.dtype.itemsize <= 400 else fourier


def dense(x, p):
    """Filter by products with the matrix of the Fourier transform, Eqs. (10.1) and (10.2)."""
    xp, l, f = array_namespace(x), x.shape[1], len(p.re)
    spectrum = _dft_matrix(xp, l, x.dtype) @ x
    x_re, x_im = spectrum[:, :f], spectrum[:, f:]
    y = _signal(x_re * p.re - x_im * p.im, x_re * p.im + x_im * p.re, l)
    return y, DenseCache(x_re, x_im, p)


def dense_backward(dy, cache):
    """Pull dy back through `dense`, Eqs. (10.4) and (10.5)."""
    x_re, x_im, p = cache
    xp, l, f = array_namespace(dy), dy.shape[1], len(p.re)
    spectrum = _dft_matrix(xp, l, dy.dtype) @ dy
    g_re, g_im = spectrum[:, :f], spectrum[:, f:]
    dx = _signal(g_re * p.re + g_im * p.im, g_im * p.re - g_re * p.im, l)
    share = _multiplicity(xp, l, dy.dtype)[:, None] / l  # (f, 1)
    dre = share * (xp.einsum("bfd,bfd->fd", x_re, g_re) + xp.einsum("bfd,bfd->fd", x_im, g_im))
    dim = share * (xp.einsum("bfd,bfd->fd", x_re, g_im) - xp.einsum("bfd,bfd->fd", x_im, g_re))
    return dx, FilterParams(dre, dim)


def fourier(x, p):
    """Filter by a pair of fast transforms along the last axis, one scale between them, Eq. (10.2).

    CuPy keeps the cuFFT plans of the last 16 shapes, so feed whole batches.
    """
    xp, l = array_namespace(x), x.shape[1]
    spectrum = xp.fft.rfft(xp.ascontiguousarray(x.transpose(0, 2, 1)), axis=-1)  # (b, d, f)
    response = (p.re + 1j * p.im).T / l  # the scale is in the weights
    y = xp.fft.irfft(spectrum * response, n=l, axis=-1, norm="forward")
    return y.transpose(0, 2, 1), FourierCache(spectrum, p)


def fourier_backward(dy, cache):
    """Pull dy back through `fourier`, Eqs. (10.4) and (10.5)."""
    spectrum, p = cache
    xp, l = array_namespace(dy), dy.shape[1]
    g = xp.fft.rfft(xp.ascontiguousarray(dy.transpose(0, 2, 1)), axis=-1)  # (b, d, f)
    dx = xp.fft.irfft(g * ((p.re - 1j * p.im).T / l), n=l, axis=-1, norm="forward")
    product = xp.einsum("bdf,bdf->fd", spectrum.conj(), g)
    share = _multiplicity(xp, l, dy.dtype)[:, None] / l
    return dx.transpose(0, 2, 1), FilterParams(share * product.real, share * product.imag)


def circulant(x, p):
    """Filter by one (l, l) matrix a channel, that of the circular convolution, Eq. (10.3)."""
    xp, l = array_namespace(x), x.shape[1]
    taps = xp.fft.irfft((p.re + 1j * p.im).T, n=l, axis=-1)  # (d, l)
    s = xp.arange(l)
    matrix = taps[:, (s - s[:, None]) % l]  # (d, l, l): column t, row s holds tap t - s
    x = xp.ascontiguousarray(x.transpose(2, 0, 1))
    return (x @ matrix).transpose(1, 2, 0), CirculantCache(x, matrix)


def circulant_backward(dy, cache):
    """Pull dy back through `circulant`: two products, and sums along the wrapped diagonals."""
    x, matrix = cache
    xp, l = array_namespace(dy), dy.shape[1]
    dy = xp.ascontiguousarray(dy.transpose(2, 0, 1))  # (d, b, l)
    dx = dy @ matrix.transpose(0, 2, 1)
    dmatrix = x.transpose(0, 2, 1) @ dy  # (d, l, l)
    s = xp.arange(l)
    dtaps = dmatrix[:, s, (s + s[:, None]) % l].sum(axis=-1)  # tap k: all pairs with t = s + k
    spectrum = xp.fft.rfft(dtaps, axis=-1).T  # (f, d)
    share = _multiplicity(xp, l, dy.dtype)[:, None] / l
    return dx.transpose(1, 2, 0), FilterParams(share * spectrum.real, share * spectrum.imag)


BACKWARD = {
    DenseCache: dense_backward,
    FourierCache: fourier_backward,
    CirculantCache: circulant_backward,
}


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

    Examples
    --------
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
    >>> causal_filter_step(np.array([[2.0]]), np.array([[1.0], [10.0]]), np.array([[[1.0]]]))
    (array([[12.]]), array([[[2.]]]))
    """
    return causal_conv1d_step(x_t, _as_conv(taps), state)


def _as_conv(taps):
    """Return the taps, newest first, as those of a convolution, newest last."""
    return ConvParams(weight=taps[::-1].T, bias=None)


def _signal(re, im, l):
    """Return the signal (b, l, d) of a spectrum, the inverse in Eq. (10.1), by matrix products."""
    xp, f = array_namespace(re), re.shape[1]
    weight = _multiplicity(xp, l, re.dtype) / l
    matrix = _dft_matrix(xp, l, re.dtype).T  # (l, 2 f)
    return (matrix[:, :f] * weight) @ re + (matrix[:, f:] * weight) @ im


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
