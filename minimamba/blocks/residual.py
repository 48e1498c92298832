"""Residual connection with post-norm, in the two placements of dropout the release uses."""

from typing import NamedTuple

from minimamba.arrays import Array
from minimamba.ops.dropout import dropout, dropout_backward
from minimamba.ops.norm import NormCache, layer_norm, layer_norm_backward


class ResidualNormCache(NamedTuple):
    """What either backward needs."""

    dropout: Array | None  # the mask, shape (..., d); None where nothing is dropped
    norm: NormCache


def residual_norm(y, x, p, rate=0.0, rng=None, eps=1e-12):
    """Return layer_norm(x + dropout(y)), Eq. (11.12).

    Parameters
    ----------
    y, x : array, shape (..., d)
        A sub-layer's output and its input.
    p : NormParams
    rate, rng : float, numpy.random.Generator or None
        Dropout on the sub-layer's output; rng None means evaluation.
    eps : float

    Examples
    --------
    >>> from minimamba.ops.norm import NormParams
    >>> p = NormParams(np.ones(2), np.zeros(2))
    >>> residual_norm(np.array([[1.0, 0.0]]), np.array([[2.0, 1.0]]), p)[0]
    array([[ 1., -1.]])
    """
    y, c_dropout = dropout(y, rate, rng)
    y, c_norm = layer_norm(x + y, p, eps)
    return y, ResidualNormCache(c_dropout, c_norm)


def residual_norm_backward(dout, cache):
    """Pull dout back to (dy, dx, dp), Eq. (11.12): the sum hands its gradient to both."""
    dx, dp = layer_norm_backward(dout, cache.norm)
    return dropout_backward(dx, cache.dropout), dx, dp


def dropped_residual_norm(y, x, p, rate=0.0, rng=None, eps=1e-12):
    """Return layer_norm(dropout(x + y)): dropout on the sum, as the release has it after its GLU.

    Parameters as for `residual_norm`, Eq. (11.12).
    """
    y, c_dropout = dropout(x + y, rate, rng)
    y, c_norm = layer_norm(y, p, eps)
    return y, ResidualNormCache(c_dropout, c_norm)


def dropped_residual_norm_backward(dout, cache):
    """Pull dout back to (dy, dx, dp), Eq. (11.12)."""
    dsum, dp = layer_norm_backward(dout, cache.norm)
    dx = dropout_backward(dsum, cache.dropout)
    return dx, dx, dp
