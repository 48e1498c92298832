"""Time-invariant systems seen three ways: as a recurrence, as a convolution, as a filter.

y_t = C h_t with h_t = A_bar h_{t-1} + B_bar u_t is the convolution of u with the impulse response
K_j = C A_bar^j B_bar, and multiplies the frequency z by the transfer function sum_j K_j z^-j. All
are complex where A is; gradients are then PyTorch's, Eq. (3.5). A real system kept as one of every
conjugate pair of states (S4D) has the response 2 Re(K), whose gradient pulls back as 2 dK.

Reference: Gu, Goel and Re, "Efficiently Modeling Long Sequences with Structured State Spaces",
arXiv:2111.00396, sections 2 and 3.

Direct sums cost l^2 and are accurate in every element; the FFT costs l log(l) and is accurate
relative to the largest element. Both are functions `convolve(u, K) -> y`, to be passed to
`causal_convolution`.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops._checks import check_floating, check_shapes, overflow_is_inf


class ResponseCache(NamedTuple):
    """What `impulse_response_backward` needs."""

    B_bar: Array  # (e, n)
    C: Array  # (e, n)
    powers: Array  # (l, e, n): A_bar^j


def impulse_response(A_bar, B_bar, C, l):
    """Return the impulse response of a diagonal system, K_j = sum_n C A_bar^j B_bar, Eq. (5.1).

    Parameters
    ----------
    A_bar, B_bar, C : array, shape (e, n)
        The discrete system of every channel, real or complex.
    l : int
        Taps to compute.

    Returns
    -------
    K : array, shape (l, e)
    cache : ResponseCache

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> impulse_response(one / 2, one, one, 4)[0][:, 0]
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    _check_diagonal(A_bar, B_bar, C)
    xp = array_namespace(A_bar)
    powers = xp.ones((l, *A_bar.shape), A_bar.dtype)
    with overflow_is_inf(xp):
        for j in range(1, l):
            xp.multiply(powers[j - 1], A_bar, out=powers[j])
        K = xp.einsum("len,en->le", powers, B_bar * C)
    return K, ResponseCache(B_bar, C, powers)


def impulse_response_backward(dK, cache):
    """Pull dK back to (dA_bar, dB_bar, dC): the derivative of A^j is j A^(j-1), Eq. (5.1a)."""
    B_bar, C, powers = cache
    xp = array_namespace(dK)
    d_product = xp.einsum("len,le->en", powers.conj(), dK)  # of B_bar C
    j = xp.arange(1, len(powers)).astype(dK.real.dtype)
    d_power = xp.einsum("len,le->en", powers[:-1].conj(), j[:, None] * dK[1:])
    return d_power * (B_bar * C).conj(), d_product * C.conj(), d_product * B_bar.conj()


class DenseResponseCache(NamedTuple):
    """What `impulse_response_dense_backward` needs."""

    A_bar: Array  # (n, n)
    C: Array  # (p, n)
    h: Array  # (l, n, m): A_bar^j B_bar


def impulse_response_dense(A_bar, B_bar, C, l):
    """Return the impulse response of a system with a full matrix, K_j = C A_bar^j B_bar, Eq. (5.1).

    Parameters
    ----------
    A_bar : array, shape (n, n)
    B_bar : array, shape (n, m)
        m inputs.
    C : array, shape (p, n)
        p outputs.
    l : int

    Returns
    -------
    K : array, shape (l, p, m)
    cache : DenseResponseCache

    Examples
    --------
    >>> A, B, C = np.array([[0.0, 1.0], [0.0, 0.0]]), np.eye(2)[:, 1:], np.eye(2)[:1]
    >>> impulse_response_dense(A, B, C, 3)[0][:, 0, 0]           # a delay of one step
    array([0., 1., 0.])
    """
    arrays = dict(A_bar=A_bar, B_bar=B_bar, C=C)
    check_floating(arrays, kinds="fc")
    check_shapes(arrays, dict(A_bar="nn", B_bar="nm", C="pn"), sources=("A_bar", "B_bar", "C"))
    xp = array_namespace(A_bar)
    h = xp.empty((l, *B_bar.shape), B_bar.dtype)
    state = B_bar
    for j in range(l):
        h[j] = state
        state = A_bar @ state
    return C @ h, DenseResponseCache(A_bar, C, h)


def impulse_response_dense_backward(dK, cache):
    """Pull dK back to (dA_bar, dB_bar, dC): Eqs. (3.3) and (3.4) with matrices for the decays."""
    A_bar, C, h = cache
    xp = array_namespace(dK)
    dA, g = xp.zeros_like(A_bar), xp.zeros(h.shape[1:], h.dtype)
    for j in reversed(range(len(h))):
        g = C.conj().T @ dK[j] + A_bar.conj().T @ g  # of h_j
        if j:
            dA += g @ h[j - 1].conj().T
    return dA, g, xp.einsum("lpm,lnm->pn", dK, h.conj())


class TransferCache(NamedTuple):
    """What `transfer_function_backward` needs."""

    A_bar: Array  # (e, n)
    B_bar: Array  # (e, n)
    C: Array  # (e, n)
    delay: Array  # (f,): 1 / z


def transfer_function(A_bar, B_bar, C, z):
    """Return sum_j K_j z^-j = sum_n C B_bar / (1 - A_bar / z), Eq. (5.5), by its closed form.

    Parameters
    ----------
    A_bar, B_bar, C : array, shape (e, n)
        A discrete diagonal system, stable (|A_bar| < |z|) for the sum to exist.
    z : array, shape (f,)
        Where to evaluate, complex; exp(i omega) gives the frequency response.

    Returns
    -------
    H : array, shape (f, e)
    cache : TransferCache

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> transfer_function(one / 2, one, one, np.array([1.0, -1.0]))[0][:, 0].round(6)
    array([2.      , 0.666667])
    """
    _check_diagonal(A_bar, B_bar, C)
    if z.ndim != 1:
        raise ValueError(f"z has shape {z.shape}, expected (f,)")
    xp = array_namespace(A_bar, z)
    delay = 1 / z
    resolvent = 1 / (1 - A_bar * delay[:, None, None])  # (f, e, n)
    H = xp.einsum("fen,en->fe", resolvent, B_bar * C)
    return H, TransferCache(A_bar, B_bar, C, delay)


def transfer_function_backward(dH, cache):
    """Pull dH back to (dA_bar, dB_bar, dC), Eq. (5.5a): d(1/(1 - A w)) = w / (1 - A w)^2 dA."""
    A_bar, B_bar, C, delay = cache
    xp = array_namespace(dH)
    resolvent = (1 / (1 - A_bar * delay[:, None, None])).conj()
    d_product = xp.einsum("fen,fe->en", resolvent, dH)  # of B_bar C
    d_A = xp.einsum("fen,fe->en", resolvent**2, delay.conj()[:, None] * dH)
    grads = d_A * (B_bar * C).conj(), d_product * C.conj(), d_product * B_bar.conj()
    return grads if xp.iscomplexobj(A_bar) else tuple(g.real for g in grads)


def _check_diagonal(A_bar, B_bar, C):
    arrays = dict(A_bar=A_bar, B_bar=B_bar, C=C)
    check_floating(arrays, kinds="fc")
    check_shapes(arrays, dict(A_bar="en", B_bar="en", C="en"), sources=("A_bar",))


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

    Examples
    --------
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

    Examples
    --------
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
