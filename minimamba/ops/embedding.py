"""The embedding table: a lookup whose adjoint is a scatter-add."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace, check_indices, sum_rows


class EmbeddingCache(NamedTuple):
    """What `embedding_backward` needs."""

    ids: Array  # (...), int
    items: int  # v, rows of the table
    padding: int | None


def embedding(ids, weight, padding=None):
    """Look up a row for each id, Eq. (11.1).

    Parameters
    ----------
    ids : array of int, shape (...)
        In 0..v-1. May stay on the host beside a CuPy table: then checking them costs no wait.
    weight : array, shape (v, d)
    padding : int, optional
        The id whose row gets no gradient from the lookup; its value is looked up like any other.

    Returns
    -------
    y : array, shape (..., d)
    cache : EmbeddingCache

    Raises
    ------
    TypeError
        When the ids are not integers.
    ValueError
        When an id has no row.

    Examples
    --------
    >>> embedding(np.array([[2, 0]]), np.array([[0.0], [1.0], [2.0]]))[0]
    array([[[2.],
            [0.]]])

    See Also
    --------
    embedding_backward
    """
    items = weight.shape[0]
    check_indices("ids", ids, items)
    ids = array_namespace(weight).asarray(ids)
    return weight.take(ids, axis=0), EmbeddingCache(ids, items, padding)


def embedding_backward(dy, cache):
    """Pull dy (..., d) back to dweight (v, d): add up the rows of each id, Eq. (11.2)."""
    ids, items, padding = cache
    dweight = sum_rows(dy.reshape(-1, dy.shape[-1]), ids.reshape(-1), items)
    if padding is not None:
        dweight[padding] = 0
    return dweight
