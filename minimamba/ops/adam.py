"""Adam and AdamW as pure functions on trees, in PyTorch's exact formula, and gradient clipping."""

from typing import Any, NamedTuple

from minimamba.arrays import array_namespace, to_floats
from minimamba.dispatch import dispatch
from minimamba.trees import tree_leaves, tree_map


class AdamState(NamedTuple):
    """Running moments; both trees look like the parameters."""

    step: int
    mean: Any
    square: Any


def adam_init(params):
    """Return the state before the first step: zeros.

    Examples
    --------
    >>> import numpy as np
    >>> adam_init((np.ones(2),))
    AdamState(step=0, mean=(array([0., 0.]),), square=(array([0., 0.]),))
    """
    zeros = [tree_map(lambda p: array_namespace(p).zeros_like(p), params) for _ in range(2)]
    return AdamState(0, *zeros)


def adam_update(params, grads, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    """Take one step of Adam.

    Parameters
    ----------
    params, grads : trees of arrays
    state : AdamState
    lr, betas, eps : float, pair of float, float
        As in `torch.optim.Adam`.

    Returns
    -------
    params : tree
    state : AdamState
        New arrays; the arguments are left as they were.

    Raises
    ------
    ValueError
        If a gradient or a moment has not the shape of its parameter, or the trees differ.

    Notes
    -----
    m <- m + (1 - b1)(g - m), s <- b2 s + (1 - b2) g^2, and, with c_i = 1 - b_i^step,
    p <- p - (lr / c1) m / (sqrt(s) / sqrt(c2) + eps): the order of operations of PyTorch.
    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> p = (np.array([1.0]),)
    >>> p, state = adam_update(p, (np.array([5.0]),), adam_init(p), lr=0.1)
    >>> p[0].round(6)
    array([0.9])
    """
    step, (b1, b2) = state.step + 1, betas
    numbers = lr / (1 - b1**step), (1 - b2**step) ** 0.5, eps, betas

    def move(p, g, m, s):
        _check_shapes(p, g, m, s)
        kernel = dispatch("adam_update", p, g, m, s)
        return list((kernel or adam_leaf)(p, g, m, s, *numbers))  # no tuple: a leaf still

    moved = tree_map(move, params, grads, state.mean, state.square)
    params, mean, square = (tree_map(lambda x, i=i: x[i], moved) for i in range(3))
    return params, AdamState(step, mean, square)


def _check_shapes(p, *others):
    shape = array_namespace(p, *others).shape
    for name, x in zip(("grads", "state.mean", "state.square"), others, strict=True):
        if shape(x) != shape(p):
            raise ValueError(f"{name} has {shape(x)} where params has an array of {shape(p)}")


def adam_leaf(p, g, mean, square, step_size, root, eps, betas):
    """Return the new weights and moments of one array, see `adam_update`."""
    b1, b2 = betas
    mean = mean + (1 - b1) * (g - mean)
    square = b2 * square + (1 - b2) * (g * g)
    scale = array_namespace(square).sqrt(square)
    scale /= root
    scale += eps
    return p - step_size * (mean / scale), mean, square


def adamw_update(params, grads, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, decay=0.01):
    """Take one step of AdamW: shrink every weight by lr * decay, then one step of Adam.

    Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> p = (np.array([1.0]),)
    >>> p, state = adamw_update(p, (np.array([5.0]),), adam_init(p), lr=0.1, decay=0.5)
    >>> p[0].round(6)
    array([0.85])
    """
    decayed = tree_map(lambda p: p * (1 - lr * decay), params) if decay else params
    return adam_update(decayed, grads, state, lr, betas, eps)


def squares(tree):
    """Return the sum of the squares of every leaf, each where its leaf lives."""
    return [(x * x).sum() for _, x in tree_leaves(tree)]


def global_norm(tree):
    """Return the Euclidean norm of all leaves together, as a Python float.

    Examples
    --------
    >>> import numpy as np
    >>> global_norm((np.array([3.0]), np.array([4.0])))
    5.0
    """
    return sum(to_floats(*squares(tree))) ** 0.5


def clip_by_norm(grads, limit):
    """Scale gradients down to a global norm of at most `limit`, as PyTorch does.

    Returns
    -------
    grads : tree
    norm : float
        Before clipping; inf or NaN when a gradient is.

    Examples
    --------
    >>> import numpy as np
    >>> grads, norm = clip_by_norm((np.array([3.0]), np.array([4.0])), 1.0)
    >>> norm, grads[0].round(4)
    (5.0, array([0.6]))
    """
    norm = global_norm(grads)
    return shrunk(grads, norm, limit), norm


def shrunk(grads, norm, limit):
    """Return gradients of a known global norm scaled down to `limit`, where they are above it."""
    factor = limit / (norm + 1e-6)
    return tree_map(lambda g: g * factor, grads) if factor < 1 else grads
