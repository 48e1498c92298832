"""NumPy or CuPy: which one an array belongs to, and the few things they do differently.

Everything that must know the difference is here, so that one code path in `ops/` serves both.
"""

import sys
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # numpy.ndarray or cupy.ndarray


def array_namespace(*arrays):
    """Return the module, `numpy` or `cupy`, that the arrays belong to.

    Numbers and None belong to no one and are skipped. CuPy is never imported from here: where
    nobody has imported it, no CuPy array can exist.

    Examples
    --------
    >>> array_namespace(np.ones(3), None).__name__
    'numpy'
    """
    found = None
    for x in arrays:
        if isinstance(x, np.ndarray):
            mine = np
        elif x is None or isinstance(x, (np.generic, int, float, complex)):
            continue
        elif on_gpu(x):
            mine = sys.modules["cupy"]
        else:
            raise TypeError(f"expected NumPy or CuPy arrays, got {_type_name(x)}")
        if found is not None and mine is not found:
            raise TypeError(
                "expected arrays of one kind, got NumPy and CuPy arrays mixed: move them to one "
                "side first, with cupy.asarray(x) or minimamba.arrays.to_host(x)"
            )
        found = mine
    return np if found is None else found


def to_host(x):
    """Return x as a NumPy array, copied from the GPU only when it lives there.

    Examples
    --------
    >>> to_host(np.arange(3))
    array([0, 1, 2])
    """
    return x.get() if array_namespace(x) is not np else np.asarray(x)


def from_host(x, like):
    """Return x where `like` lives: unchanged beside NumPy arrays, copied to the GPU beside CuPy's.

    Examples
    --------
    >>> from_host(np.arange(3), like=np.ones(2))
    array([0, 1, 2])
    """
    return array_namespace(like).asarray(x)


def on_gpu(x):
    """Say whether x is a CuPy array.

    On the host caches want many small pieces of work; on a GPU every call costs more than a pass
    over its cache, so that work wants few large ones.

    Examples
    --------
    >>> on_gpu(np.ones(2))
    False
    """
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(x, cupy.ndarray)


def to_floats(*scalars):
    """Return arrays of one number each as Python floats, after one wait for a GPU in all.

    `float(x)` of a CuPy array waits every time, and leaves the GPU idle while the host goes on.

    Examples
    --------
    >>> to_floats(np.float32(0.5), np.ones(2).sum())
    [0.5, 2.0]
    """
    xp = array_namespace(*scalars)
    return [float(x) for x in scalars] if xp is np else to_host(xp.stack(scalars)).tolist()


def check_indices(name, indices, count):
    """Require integers in [0, count).

    Host arrays are checked for nothing; CuPy arrays cost one wait for the GPU, which is better
    than CuPy's own rule of wrapping around silently. Give host indices to avoid the wait.

    Examples
    --------
    >>> check_indices("ids", np.array([0, 4]), 4)
    Traceback (most recent call last):
    ValueError: ids must lie in 0..3, got values from 0 to 4
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {indices.dtype}")
    if indices.size == 0:
        return
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= count:
        raise ValueError(f"{name} must lie in 0..{count - 1}, got values from {low} to {high}")


def sum_rows(rows, index, count):
    """Add up the rows that share an index: out[i] = sum of rows[j] with index[j] == i.

    NumPy counts (`np.bincount` with the entries as weights is six times faster than `np.add.at`,
    and adds in float64); CuPy adds atomically, in no fixed order, so that its last bits may change
    from run to run.

    Parameters
    ----------
    rows : array of real numbers, shape (m, d)
    index : array of int, shape (m,)
    count : int
        Rows of the result; rows without an index are zero.

    Examples
    --------
    >>> sum_rows(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2]), 3)
    array([[2.],
           [0.],
           [5.]])
    """
    xp, d = array_namespace(rows, index), rows.shape[1]
    if xp is not np:
        import cupyx

        out = xp.zeros((count, d), rows.dtype)
        cupyx.scatter_add(out, index, rows)
        return out
    place = index.astype(np.intp)[:, None] * d + np.arange(d)  # in the flattened result
    sums = np.bincount(place.reshape(-1), weights=rows.reshape(-1), minlength=count * d)
    return sums.reshape(count, d).astype(rows.dtype)


def _type_name(x):
    """Return 'torch.Tensor' for a tensor, 'list' for a list."""
    kind = type(x)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
