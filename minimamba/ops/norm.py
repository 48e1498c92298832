"""Normalisations over the last axis: layer norm and RMS norm."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace


class NormParams(NamedTuple):
    """Scale and shift of a layer norm."""

    weight: Array  # (d,)
    bias: Array  # (d,)


class RMSNormParams(NamedTuple):
    """Scale of an RMS norm."""

    weight: Array  # (d,)


class NormCache(NamedTuple):
    """What both backward functions need."""

    x_hat: Array  # (..., d), normalised, before scale and shift
    rho: Array  # (..., 1), 1 / sqrt(variance + eps)
    weight: Array  # (d,)


def layer_norm(x, p, eps=1e-5):
    """Return (x - mean) / sqrt(variance + eps), scaled and shifted, Eq. (11.3).

    Official: torch.nn.functional.layer_norm over the last axis.

    Parameters
    ----------
    x : array, shape (..., d)
    p : NormParams
    eps : float
        Inside the square root; the variance is the biased one (divided by d), as in PyTorch.

    Returns
    -------
    y : array, shape (..., d)
    cache : NormCache

    Examples
    --------
    >>> p = NormParams(weight=np.ones(2), bias=np.zeros(2))
    >>> layer_norm(np.array([[1.0, 3.0]]), p, eps=0.0)[0]
    array([[-1.,  1.]])

    References
    ----------
    Ba, Kiros, Hinton, "Layer Normalization", arXiv:1607.06450.
    """
    _check("layer_norm", x, p)
    x_hat = x - _mean(x)
    rho = (_mean_product(x_hat, x_hat) + eps) ** -0.5
    x_hat *= rho
    y = x_hat * p.weight
    y += p.bias
    return y, NormCache(x_hat, rho, p.weight)


def layer_norm_backward(dy, cache):
    """Pull dy back to (dx, dp), Eq. (11.4).

    dx = rho (g - mean(g) - x_hat mean(g x_hat)) with g = dy weight: what is left of g after its
    parts along the two directions that the norm takes out of x.
    """
    x_hat, rho, weight = cache
    g = dy * weight
    dx = rho * (g - _mean(g) - x_hat * _mean_product(g, x_hat))
    return dx, NormParams(_sum_products(dy, x_hat), _sum_rows(dy))


def rms_norm(x, p, eps=1e-5):
    """Return x / sqrt(mean(x^2) + eps), scaled, Eq. (11.5).

    Official: torch.nn.functional.rms_norm over the last axis.

    Parameters
    ----------
    x : array, shape (..., d)
    p : RMSNormParams
    eps : float
        Inside the square root.

    Returns
    -------
    y : array, shape (..., d)
    cache : NormCache

    Examples
    --------
    >>> rms_norm(np.array([[3.0, 3.0]]), RMSNormParams(weight=np.array([1.0, 2.0])), eps=0.0)[0]
    array([[1., 2.]])

    References
    ----------
    Zhang, Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """
    _check("rms_norm", x, p)
    rho = (_mean_product(x, x) + eps) ** -0.5
    x_hat = x * rho
    return x_hat * p.weight, NormCache(x_hat, rho, p.weight)


def rms_norm_backward(dy, cache):
    """Pull dy back to (dx, dp): dx = rho (g - x_hat mean(g x_hat)), g = dy weight, Eq. (11.6)."""
    x_hat, rho, weight = cache
    g = dy * weight
    dx = rho * (g - x_hat * _mean_product(g, x_hat))
    return dx, RMSNormParams(_sum_products(dy, x_hat))


def _check(name, x, p):
    """Require one scale for each channel."""
    array_namespace(x, *p)
    if p.weight.shape != x.shape[-1:]:
        raise ValueError(f"{name}: x has {x.shape[-1]} channels, the weight is {p.weight.shape}")


def _mean(x):
    """Return the mean over the last axis, (..., 1)."""
    return x.mean(axis=-1, keepdims=True)


def _mean_product(x, y):
    """Return the mean of x y over the last axis, (..., 1), without the array of products.

    No conjugate: for complex x this is the analytic continuation, which a complex step needs.
    """
    return array_namespace(x).einsum("...d,...d->...", x, y)[..., None] / x.shape[-1]


def _sum_rows(x):
    """Return the sum over every axis but the last, (d,)."""
    return x.reshape(-1, x.shape[-1]).sum(axis=0)


def _sum_products(x, y):
    """Return the sum of x y over every axis but the last, (d,)."""
    d = x.shape[-1]
    return array_namespace(x).einsum("md,md->d", x.reshape(-1, d), y.reshape(-1, d))
