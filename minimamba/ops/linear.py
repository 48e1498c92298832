"""The linear map over the last axis."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace


class LinearParams(NamedTuple):
    """A matrix used as `x @ weight`, and a bias that may be absent."""

    weight: Array  # (d_in, d_out)
    bias: Array | None  # (d_out,)


class LinearCache(NamedTuple):
    """What `linear_backward` needs."""

    x: Array  # (..., d_in)
    p: LinearParams


def linear(x, p):
    """Return x W + b over the last axis, Eq. (0.6).

    Parameters
    ----------
    x : array, shape (..., d_in)
    p : LinearParams
        Official PyTorch weights are (d_out, d_in): transpose them.

    Returns
    -------
    y : array, shape (..., d_out)
    cache : LinearCache

    Examples
    --------
    >>> p = LinearParams(weight=np.array([[1.0], [2.0]]), bias=np.array([10.0]))
    >>> linear(np.array([[3.0, 4.0]]), p)[0]
    array([[21.]])

    See Also
    --------
    linear_backward
    """
    array_namespace(x, p.weight, p.bias)
    d_in, d_out = p.weight.shape
    if x.shape[-1] != d_in:
        raise ValueError(f"linear: x has {x.shape[-1]} channels, but the weight takes {d_in}")
    y = x.reshape(-1, d_in) @ p.weight  # one matrix product is faster than one for each batch row
    if p.bias is not None:
        y += p.bias
    return y.reshape(*x.shape[:-1], d_out), LinearCache(x, p)


def linear_backward(dy, cache):
    """Pull dy back to (dx, dp): dx = dy W^T, dW = x^T dy, db = sum of dy, Eq. (0.7)."""
    x, p = cache
    d_in, d_out = p.weight.shape
    rows = dy.reshape(-1, d_out)
    dx = (rows @ p.weight.T).reshape(x.shape)
    dweight = x.reshape(-1, d_in).T @ rows
    dbias = None if p.bias is None else rows.sum(axis=0)
    return dx, LinearParams(dweight, dbias)
