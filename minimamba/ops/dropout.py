"""Dropout, with the mask as data."""

from minimamba.arrays import from_host


def dropout(x, rate=0.0, rng=None):
    """Zero each entry with probability `rate` and scale the others by 1 / (1 - rate), Eq. (11.7).

    Parameters
    ----------
    x : array, any shape
    rate : float
        In [0, 1).
    rng : numpy.random.Generator, optional
        Draws the mask, on the host and in single precision for every dtype, so that the CPU, the
        GPU and all precisions drop the same entries. None means evaluation: the identity.

    Returns
    -------
    y : array, the shape of x
        x itself where nothing is dropped.
    cache : array or None
        The mask, 0 or 1 / (1 - rate).

    Raises
    ------
    ValueError
        When the rate is not in [0, 1).

    Examples
    --------
    >>> dropout(np.ones(6), rate=0.5, rng=np.random.default_rng(0))[0]
    array([2., 2., 2., 0., 0., 0.])

    References
    ----------
    Srivastava et al., "Dropout", JMLR 15 (2014); the inverted form, which leaves evaluation alone.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must lie in [0, 1), got {rate}")
    if rng is None or rate == 0:
        return x, None
    keep = rng.random(x.shape, dtype="float32") >= rate
    mask = from_host(keep, x).astype(x.real.dtype) * (1 / (1 - rate))
    return x * mask, mask


def dropout_backward(dy, cache):
    """Pull dy back through the same mask, Eq. (11.7)."""
    return dy if cache is None else dy * cache
