"""Small models with every weight drawn at random, and the exact check of their gradients."""

import numpy as np

from minimamba.models.echo import EchoConfig, init_echo
from minimamba.trees import tree_leaves, tree_map

STEP = 1e-30  # of the complex step: far below any rounding, far above underflow


def random_echo(seed, **sizes):
    """Return EchoParams in which no weight is 0 or 1, so that no gradient can hide."""
    rng = np.random.default_rng(seed)
    params = init_echo(rng, EchoConfig(**{"items": 7, "width": 4, "state": 3, **sizes}))
    return tree_map(lambda w: w + 0.3 * rng.normal(size=w.shape), params)


def random_rows(seed, lengths, length, items=7):
    """Return (item_seq, lengths, target) with items 1..items, padded on the right with 0."""
    rng, lengths = np.random.default_rng(seed), np.array(lengths)
    item_seq = rng.integers(1, items + 1, (len(lengths), length))
    item_seq[np.arange(length) >= lengths[:, None]] = 0
    return item_seq, lengths, rng.integers(1, items + 1, len(lengths))


def worst_leaf_error(f, params, grads, seed=0):
    """Compare grads with the complex-step derivative of f along a random direction of every leaf.

    The padding's row of the table stays where it is: its look-up gradient is dropped on purpose.
    Returns the largest relative difference over the leaves, and its path.
    """
    rng, leaves = np.random.default_rng(seed), dict(tree_leaves(grads))
    worst = (0.0, "")
    for path, leaf in tree_leaves(params):
        direction = rng.normal(size=leaf.shape)
        if path == "item_embedding":
            direction[0] = 0
        moved = _move(params, path, 1j * STEP * direction)
        exact = f(moved).imag / STEP
        mine = float((leaves[path] * direction).sum())
        scale = float(np.abs(leaves[path] * direction).sum()) + 1e-300
        worst = max(worst, (abs(mine - exact) / scale, path))
    return worst


def complex_tree(params):
    """Return the weights as complex numbers, for a complex step in the input."""
    return tree_map(lambda w: w + 0j, params)


def _move(params, path, change):
    paths = iter(path_ for path_, _ in tree_leaves(params))
    return tree_map(lambda w: w + change if next(paths) == path else w + 0j, params)
