"""What the GPU checks share: placing arrays, and the distance from float64 with what is allowed."""

from typing import NamedTuple

import numpy as np

from minimamba.arrays import to_host
from minimamba.ops.conv import ConvParams
from minimamba.trees import tree_map


class Far(NamedTuple):
    """How far a result is from float64, and how far it may be; relative, in the 2-norm."""

    distance: float
    allowed: float

    @property
    def ok(self):
        """Say whether the distance is a number and allowed."""
        return self.distance <= self.allowed


def measure(got, want, allowed, magnitude=None):
    """Return the `Far` of a result, wherever it lives; another shape is infinitely far.

    `magnitude`, for a long sum that may cancel, is the sum of the magnitudes of its terms.

    Examples
    --------
    >>> measure(np.float32([3.0, 4.0]), np.array([3.0, 5.0]), 0.2).ok
    True
    >>> measure(np.float32([3.0]), np.array([3.0, 5.0]), 0.2).distance
    inf
    """
    got = to_host(got)
    if got.shape != want.shape or not np.isfinite(got).all():
        return Far(np.inf, allowed)
    scale = float(np.linalg.norm(want if magnitude is None else magnitude))
    far = float(np.linalg.norm((got.astype(want.dtype) - want).reshape(-1)))
    return Far(far / scale if scale else far, allowed)


def bits_or_floats(x):
    """Return bfloat16 bits as float32, anything else unchanged."""
    from minimamba.kernels.bfloat16 import from_bfloat16

    return from_bfloat16(x) if x.dtype == np.uint16 else x


def named(grads):
    """Return the (name, gradient) pairs of what was given."""
    return [(name, g) for name, g in grads._asdict().items() if g is not None]


def place(move, tree, dtype=None):
    """Return a tree with every array moved, and cast first where a dtype is given.

    Examples
    --------
    >>> place(np.asarray, (np.ones(1), True, None), "float32")
    (array([1.], dtype=float32), True, None)
    """

    def one(x):
        if not isinstance(x, np.ndarray):
            return x
        return move(x if dtype is None else x.astype(dtype))

    return tree_map(one, tree)


def wide(tree):
    """Return a tree of NumPy arrays in float64."""
    return place(np.asarray, tree, np.float64)


def conv_problem(b, l, e, k=4):
    """Return (x, p, state, dy, dstate) of a causal convolution, float32."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    p = ConvParams(normal(e, k), normal(e))
    return normal(b, l, e), p, normal(b, k - 1, e), normal(b, l, e), normal(b, k - 1, e)
