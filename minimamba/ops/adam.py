"""Adam and AdamW as pure functions on trees, in PyTorch's exact formula, and gradient clipping.

`params, state = adam_update(params, grads, state, ...)`: trees of the same structure, NumPy's or
CuPy's; new arrays come back, in the dtype of the old ones, and no argument is changed.
"""

from typing import Any, NamedTuple

from minimamba.arrays import array_namespace
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
    >>> adam_init((np.ones(2),))
    AdamState(step=0, mean=(array([0., 0.]),), square=(array([0., 0.]),))
    """
    zeros = [tree_map(lambda p: array_namespace(p).zeros_like(p), params) for _ in range(2)]
    return AdamState(0, *zeros)


def adam_update(params, grads, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    """Take one step of Adam.

    Official: torch.optim.Adam(params, lr, betas, eps), which keeps the state inside.

    Notes
    -----
    m <- m + (1 - b1)(g - m), s <- b2 s + (1 - b2) g^2, and, with c_i = 1 - b_i^step,
    p <- p - (lr / c1) m / (sqrt(s) / sqrt(c2) + eps): the order of operations of PyTorch.
    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015.

    Examples
    --------
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


def clip_by_norm(grads, norm, limit):
    """Scale gradients of a global norm down to `limit` where they are above it, as PyTorch does.

    The norm is sqrt(sum(squares(grads))); the caller has it, as a Python float, and may have
    brought it from the GPU together with other numbers.

    Examples
    --------
    >>> clip_by_norm((np.array([3.0]), np.array([4.0])), 5.0, 1.0)[0].round(4)
    array([0.6])
    """
    factor = limit / (norm + 1e-6)
    return tree_map(lambda g: g * factor, grads) if factor < 1 else grads
