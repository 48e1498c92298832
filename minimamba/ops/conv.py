"""The depthwise causal convolution of a Mamba block, with its state for streaming."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.dispatch import dispatch


class ConvParams(NamedTuple):
    """k taps for every channel; the last tap multiplies the current step."""

    weight: Array  # (e, k)
    bias: Array | None  # (e,)


class ConvCache(NamedTuple):
    """What `causal_conv1d_backward` needs."""

    padded: Array  # (b, k - 1 + l, e), the state and then the input
    p: ConvParams


def causal_conv1d(x, p, state=None):
    """Convolve every channel with its own k taps, looking only at the past, Eq. (5.7).

    Official: causal_conv1d causal_conv1d_fn(x, weight, bias), layout (b, d, l).

    y_t = bias + sum_j weight[:, j] x_{t-k+1+j}, with the state in place of the steps before 0.

    Parameters
    ----------
    x : array, shape (b, l, e)
    p : ConvParams
    state : array, shape (b, k - 1, e), optional
        The last k - 1 inputs before x, oldest first; None is zeros.

    Returns
    -------
    y : array, shape (b, l, e)
    state : array, shape (b, k - 1, e)
        The last k - 1 inputs; it continues the sequence even where l < k - 1.
    cache : ConvCache

    Examples
    --------
    >>> p = ConvParams(weight=np.array([[10.0, 1.0]]), bias=None)
    >>> y, state, _ = causal_conv1d(np.array([[[1.0], [2.0], [3.0]]]), p)
    >>> y[0, :, 0], state[0, :, 0]
    (array([ 1., 12., 23.]), array([3.]))

    See Also
    --------
    causal_conv1d_step : one step at a time.
    """
    xp = array_namespace(x, p.weight, p.bias, state)
    (b, l, e), k = x.shape, p.weight.shape[1]
    kernel = dispatch("causal_conv1d", x, *p, state)
    if kernel is not None:
        return kernel(x, p, state)
    if state is None:
        state = xp.zeros((b, k - 1, e), x.dtype)
    _check("causal_conv1d", b, e, p, state)
    padded = xp.concatenate([state, x], axis=1)  # (b, k - 1 + l, e)
    y = p.weight[:, 0] * padded[:, :l]
    for j in range(1, k):  # k is 3 or 4: a pass for each tap
        y += p.weight[:, j] * padded[:, j : j + l]
    if p.bias is not None:
        y += p.bias
    return y, padded[:, l:].copy(), ConvCache(padded, p)


def causal_conv1d_backward(dy, dstate, cache):
    """Pull (dy, dstate) back to (dx, dp, dstate0), Eq. (5.8).

    Parameters
    ----------
    dy : array, shape (b, l, e)
    dstate : array, shape (b, k - 1, e), or None
        Gradient of the returned state; None is zeros.
    cache : ConvCache

    Returns
    -------
    dx : array, shape (b, l, e)
    dp : ConvParams
    dstate0 : array, shape (b, k - 1, e)
        Gradient of the given state.
    """
    kernel = dispatch("causal_conv1d_backward", cache)
    if kernel is not None:
        return kernel(dy, dstate, cache)
    padded, p = cache
    xp = array_namespace(dy)
    l, k = dy.shape[1], p.weight.shape[1]
    dpadded = xp.zeros(padded.shape, dy.dtype)
    for j in range(k):
        dpadded[:, j : j + l] += p.weight[:, j] * dy
    if dstate is not None:
        dpadded[:, l:] += dstate
    taps = [xp.einsum("ble,ble->e", dy, padded[:, j : j + l]) for j in range(k)]
    dbias = None if p.bias is None else dy.sum(axis=(0, 1))
    return dpadded[:, k - 1 :], ConvParams(xp.stack(taps, axis=1), dbias), dpadded[:, : k - 1]


def causal_conv1d_step(x_t, p, state):
    """Take one step of Eq. (5.7), Eq. (5.9).

    Official: causal_conv1d causal_conv1d_update(x, conv_state, weight, bias), state (b, d, k).

    Parameters
    ----------
    x_t : array, shape (b, e)
    p : ConvParams
    state : array, shape (b, k - 1, e)

    Returns
    -------
    y_t : array, shape (b, e)
    state : array, shape (b, k - 1, e)
        A new array; the given one is not changed.

    Examples
    --------
    >>> p = ConvParams(weight=np.array([[10.0, 1.0]]), bias=None)
    >>> causal_conv1d_step(np.array([[2.0]]), p, state=np.array([[[1.0]]]))
    (array([[12.]]), array([[[2.]]]))
    """
    xp = array_namespace(x_t, p.weight, p.bias, state)
    _check("causal_conv1d_step", *x_t.shape, p, state)
    kernel = dispatch("causal_conv1d_step", x_t, *p, state)
    if kernel is not None:
        return kernel(x_t, p, state)
    window = xp.concatenate([state, x_t[:, None]], axis=1)  # (b, k, e)
    y_t = xp.einsum("bke,ek->be", window, p.weight)
    return (y_t if p.bias is None else y_t + p.bias), window[:, 1:]


def _check(name, b, e, p, state):
    """Require a row of taps for each channel, and a state of the k - 1 inputs before."""
    channels, k = p.weight.shape
    if channels != e:
        raise ValueError(f"{name}: x has {e} channels, but the weight is for {channels}")
    if state.shape != (b, k - 1, e):
        raise ValueError(f"{name}: the state is {state.shape}, expected {(b, k - 1, e)}")
