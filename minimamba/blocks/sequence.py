"""Turning a right-padded sequence round, and choosing where to read it.

Lengths and positions may stay on the host beside CuPy arrays: then nothing waits for the GPU.
"""

from minimamba.arrays import array_namespace, from_host


def flip_window(x, lengths):
    """Turn the whole window round, padding included, as the release does, Eq. (11.11).

    It is its own inverse and its own adjoint.

    Parameters
    ----------
    x : array, shape (b, l, ...)
    lengths : int array, shape (b,)
        Not used: the padding is turned like the items.

    Examples
    --------
    >>> import numpy as np
    >>> flip_window(np.array([[1, 2, 3, 0, 0]]), np.array([3]))
    array([[0, 0, 3, 2, 1]])
    """
    return x[:, ::-1]


def flip_valid(x, lengths):
    """Turn the first `lengths` steps round and leave the padding in its place, Eq. (11.11).

    It is its own inverse and its own adjoint.

    Parameters
    ----------
    x : array, shape (b, l, ...)
    lengths : int array, shape (b,)

    Examples
    --------
    >>> import numpy as np
    >>> flip_valid(np.array([[1, 2, 3, 0, 0]]), np.array([3]))
    array([[3, 2, 1, 0, 0]])
    """
    xp, lengths = array_namespace(x), from_host(lengths, x)
    t = xp.arange(x.shape[1])
    source = xp.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x[xp.arange(len(x))[:, None], source]


def read_last(lengths):
    """Read both directions at the last item, as the release does, Eq. (11.14).

    Returns
    -------
    causal, anticausal : int array, shape (b,)
        The position at which each direction is read.

    Examples
    --------
    >>> import numpy as np
    >>> read_last(np.array([3, 1]))
    (array([2, 0]), array([2, 0]))
    """
    return lengths - 1, lengths - 1


def read_ends(lengths):
    """Read each direction where it has seen every item: the last and the first, Eq. (11.14).

    Examples
    --------
    >>> import numpy as np
    >>> read_ends(np.array([3, 1]))
    (array([2, 0]), array([0, 0]))
    """
    return lengths - 1, lengths * 0


def at(x, position):
    """Take one position of every row: (b, l, ...) to (b, ...)."""
    return x[array_namespace(x).arange(len(x)), position]


def at_backward(dy, position, length):
    """Put dy, shape (b, d), back at its position in zeros of shape (b, l, d)."""
    xp = array_namespace(dy)
    dx = xp.zeros((len(dy), length, *dy.shape[1:]), dy.dtype)
    dx[xp.arange(len(dy)), position] = dy
    return dx
