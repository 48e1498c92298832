"""Launches one step of Adam for one array of weights, `adam.cu`; float32."""

import numpy as np

from minimamba.arrays import array_namespace
from minimamba.kernels.compile import as_pointer, load

THREADS = 256


def update(p, g, mean, square, step_size, root, eps, betas):
    """Return new weights and moments; like `minimamba.ops.adam.adam_leaf`.

    step_size is lr / (1 - b1^step) and root is sqrt(1 - b2^step).
    """
    xp, (b1, b2) = array_namespace(p, g), betas
    given = [as_pointer(x, xp) for x in (p, g, mean, square)]
    made = [xp.empty(p.shape, np.float32) for _ in range(3)]
    numbers = map(np.float32, (step_size, root, eps, b2, 1 - b1, 1 - b2))
    if p.size:
        kernel = load(("adam.cu",)).get_function("adam_update")
        args = (*given, *made, *numbers, np.int64(p.size))
        kernel((-(-p.size // THREADS),), (THREADS,), args)
    return tuple(made)
