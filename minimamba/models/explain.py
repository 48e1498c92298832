"""What a score rests on: exact derivatives of the model, no sampling and no approximation."""

from minimamba.arrays import array_namespace
from minimamba.blocks.read import anticausal_read_backward, causal_read_backward, read_last
from minimamba.blocks.sequence import flip_window
from minimamba.models.echo import EPS, echo_layers, echo_layers_backward
from minimamba.ops.embedding import embedding
from minimamba.ops.norm import layer_norm


def echo_attribution(item_seq, lengths, item, params, flip=flip_window, read=read_last):
    """Say how much each position of the history moves the score of an item: gradient times input.

    To first order, the part of the score that would vanish with what a position brings in: an
    array of shape (b, l). `item`, shape (b,), has its score explained; the rest as for
    `echo_encode`. Taken behind the norm of the embeddings. Before it, gradient times input is zero
    for every model, since the norm divides the size of an embedding out.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4))
    >>> echo_attribution(np.array([[3, 1, 4, 0, 0]]), np.array([3]), np.array([5]), params).shape
    (1, 5)
    """
    x = _normed_embeddings(item_seq, params)
    _, cache = echo_layers(x, lengths, params.layers, flip=flip, read=read)
    dx, _ = echo_layers_backward(embedding(item, params.item_embedding)[0], cache, flip, read)
    return (dx * x).sum(-1)


def echo_receptive_field(item_seq, lengths, params, flip=flip_window, read=read_last):
    """Return how strongly the read-out depends on every position, Eq. (11.18).

    Frobenius norms of exact Jacobian blocks. `causal` and `anticausal`: of that branch of the last
    mixer, at the position where it is read, with respect to the mixer's input. `total`: of the
    vector that is compared with the items, with respect to the embeddings behind their norm.

    Each has shape (b, l); arguments as for `echo_encode`.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4))
    >>> field = echo_receptive_field(np.array([[3, 1, 4, 0, 0]]), np.array([3]), params)
    >>> field["anticausal"][0, :2]  # in the released model this branch sees no earlier item
    array([0., 0.])
    """
    fields = [
        _row_fields(item_seq[i : i + 1], lengths[i : i + 1], params, flip, read)
        for i in range(len(item_seq))
    ]
    xp = array_namespace(params.item_embedding)
    return {name: xp.concatenate([field[name] for field in fields]) for name in fields[0]}


def _row_fields(item_seq, lengths, params, flip, read):
    """Pull every unit vector back at once: one copy of the row for each of the d outputs."""
    xp, d = array_namespace(params.item_embedding), params.item_embedding.shape[1]
    ids, lengths = item_seq.repeat(d, axis=0), lengths.repeat(d)
    unit = xp.eye(d, dtype=params.item_embedding.dtype)
    x = _normed_embeddings(ids, params)
    _, cache = echo_layers(x, lengths, params.layers, flip=flip, read=read)
    c_read = cache[-1].read
    jacobians = {
        "causal": causal_read_backward(unit, c_read, read)[0],
        "anticausal": anticausal_read_backward(unit, c_read, flip, read)[0],
        "total": echo_layers_backward(unit, cache, flip, read)[0],
    }
    return {name: xp.sqrt((J * J).sum((0, 2)))[None] for name, J in jacobians.items()}


def _normed_embeddings(item_seq, params):
    return layer_norm(embedding(item_seq, params.item_embedding)[0], params.norm, EPS)[0]
