"""Positions to read in right-padded sequences; they may stay on the host beside CuPy arrays."""

from minimamba.arrays import array_namespace, from_host


def seen(last, length):
    """Return (b, l): whether a position does not come after `last`; it lives where `last` does."""
    return array_namespace(last).arange(length) <= last[:, None]


def until(last, x):
    """Return x (b, l, e) with zeros at the positions that come after `last`."""
    inside = from_host(seen(last, x.shape[1]), x)
    xp = array_namespace(x)
    return xp.where(inside[..., None], x, xp.zeros((), x.dtype))
