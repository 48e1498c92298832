"""Turning a right-padded sequence round; its lengths may stay on the host beside CuPy arrays."""

from minimamba.arrays import array_namespace, from_host


def flip_window(x, lengths):
    """Turn the whole window round, padding included, as the release does, Eq. (11.11).

    It is its own inverse and its own adjoint on x (b, l, ...); the lengths are not used.

    Examples
    --------
    >>> flip_window(np.array([[1, 2, 3, 0, 0]]), np.array([3]))
    array([[0, 0, 3, 2, 1]])
    """
    return x[:, ::-1]


def flip_valid(x, lengths):
    """Turn the first `lengths` steps round and leave the padding in its place, Eq. (11.11).

    It is its own inverse and its own adjoint on x (b, l, ...), lengths (b,).

    Examples
    --------
    >>> flip_valid(np.array([[1, 2, 3, 0, 0]]), np.array([3]))
    array([[3, 2, 1, 0, 0]])
    """
    xp, lengths = array_namespace(x), from_host(lengths, x)
    t = xp.arange(x.shape[1])
    source = xp.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x[xp.arange(len(x))[:, None], source]
