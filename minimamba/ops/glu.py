"""The gated linear unit that mixes channels in EchoMamba4Rec."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops.elementwise import sigmoid, sigmoid_backward
from minimamba.ops.linear import LinearCache, LinearParams, linear, linear_backward


class GLUParams(NamedTuple):
    """Two linear maps: into value and gate, and out."""

    fc1: LinearParams  # (d, 2 d): value, gate
    fc2: LinearParams  # (d, d)


class GLUCache(NamedTuple):
    """What `glu_backward` needs."""

    fc1: LinearCache
    value: Array  # (..., d)
    gate: Array  # (..., d), after the sigmoid
    fc2: LinearCache


def glu(x, p):
    """Return (value * sigmoid(gate)) W2 + b2 with [value | gate] = x W1 + b1, Eq. (11.8).

    Parameters
    ----------
    x : array, shape (..., d)
    p : GLUParams

    Returns
    -------
    q : array, shape (..., d)
    cache : GLUCache

    Examples
    --------
    >>> fc1 = LinearParams(weight=np.array([[2.0, 0.0]]), bias=None)
    >>> glu(np.array([[3.0]]), GLUParams(fc1, LinearParams(np.eye(1), np.ones(1))))[0]
    array([[4.]])

    References
    ----------
    Dauphin et al., "Language Modeling with Gated Convolutional Networks", arXiv:1612.08083.
    """
    both, c_fc1 = linear(x, p.fc1)
    value, gate = array_namespace(x).split(both, 2, axis=-1)
    gate, _ = sigmoid(gate)
    q, c_fc2 = linear(value * gate, p.fc2)
    return q, GLUCache(c_fc1, value, gate, c_fc2)


def glu_backward(dq, cache):
    """Pull dq back to (dx, dp), Eq. (11.9)."""
    c_fc1, value, gate, c_fc2 = cache
    dgated, fc2 = linear_backward(dq, c_fc2)
    dgate = sigmoid_backward(dgated * value, gate)
    dboth = array_namespace(dq).concatenate([dgated * gate, dgate], axis=-1)
    dx, fc1 = linear_backward(dboth, c_fc1)
    return dx, GLUParams(fc1, fc2)
