"""Trees of arrays: NamedTuples, tuples and None, with a dotted path for every leaf.

Parameters, caches, states and gradients are all such trees. None is an absent leaf, such as the
bias of a linear map without one.
"""

import numpy as np

from minimamba.errors import InputError


def tree_map(f, tree, *rest):
    """Apply f to every leaf, and to the leaves at the same place in the further trees.

    Parameters
    ----------
    f : callable
        Takes one leaf of each tree.
    tree, *rest : trees of one structure
        None stays None and is not handed to f.

    Returns
    -------
    tree
        Of the same types as `tree`.

    Examples
    --------
    >>> tree_map(lambda x, y: x + y, (1, None, (2,)), (10, None, (20,)))
    (11, None, (22,))
    """
    if tree is None:
        if any(other is not None for other in rest):
            raise ValueError("the trees differ: one has a leaf where the first has None")
        return None
    if not isinstance(tree, tuple):
        if any(other is None for other in rest):
            raise ValueError("the trees differ: one has None where the first has a leaf")
        return f(tree, *rest)
    for other in rest:
        if not isinstance(other, tuple) or len(other) != len(tree):
            raise ValueError(f"the trees differ: {_kind(tree)} beside {_kind(other)}")
    return _rebuild(tree, [tree_map(f, *children) for children in zip(tree, *rest, strict=True)])


def tree_leaves(tree, path=""):
    """List (dotted path, leaf) of every leaf, in order; None is skipped.

    Field names and positions make the path, as in `layers.0.filter.re`; a bare leaf has the path
    it is given.

    Examples
    --------
    >>> tree_leaves((1.0, (2.0, None)))
    [('0', 1.0), ('1.0', 2.0)]
    """
    if tree is None:
        return []
    if not isinstance(tree, tuple):
        return [(path, tree)]
    names = getattr(tree, "_fields", range(len(tree)))
    prefix = f"{path}." if path else ""
    pairs = zip(names, tree, strict=True)
    return [leaf for name, child in pairs for leaf in tree_leaves(child, f"{prefix}{name}")]


def tree_from_leaves(like, mapping):
    """Build a tree of the structure of `like` from a mapping of dotted paths to arrays.

    An InputError names the path that is missing, not expected, or of another shape.

    Examples
    --------
    >>> tree_from_leaves((np.zeros(2), None), {"0": np.ones(2)})
    (array([1., 1.]), None)
    """
    wanted = dict(tree_leaves(like))
    if missing := [path for path in wanted if path not in mapping]:
        raise InputError(f"the entry {missing[0]!r} is missing{_and_more(missing)}")
    if extra := [path for path in mapping if path not in wanted]:
        raise InputError(f"the entry {extra[0]!r} is not expected{_and_more(extra)}")
    for path, leaf in wanted.items():
        if (shape := np.shape(mapping[path])) != np.shape(leaf):
            raise InputError(f"the entry {path!r} has shape {shape}, expected {np.shape(leaf)}")
    paths = iter(wanted)
    return tree_map(lambda leaf: mapping[next(paths)], like)


def _rebuild(like, children):
    """Return the children in a tuple of the type of `like`."""
    return like._make(children) if hasattr(like, "_make") else tuple(children)


def _kind(tree):
    """Name a node for an error message."""
    return f"{type(tree).__name__} of {len(tree)}" if isinstance(tree, tuple) else "a leaf"


def _and_more(names):
    """Return ' (and 3 more)' where there are more."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
