"""Tools that find a wrong gradient: the complex step, the adjoint identity, and both in one check.

They know only the shape of a pair, `*outputs, cache = op(*inputs)` and
`grads = backward(*doutputs, cache)`, and work on any such pair, yours too.
"""

from inspect import signature

import numpy as np

from minimamba.arrays import array_namespace, from_host
from minimamba.trees import tree_leaves, tree_map


def complex_step(op, inputs, direction, step=1e-30):
    """Return the tangent of the outputs along a direction, exact to rounding, Eq. (0.5).

    The imaginary part of op(x + i step v), divided by the step: nothing is subtracted, so the step
    can be as small as one likes and neither truncation nor cancellation remains.

    Parameters
    ----------
    op : callable
        `*outputs, cache = op(*inputs)`; must take complex arrays, and be analytic near real ones.
    inputs : tuple of trees of real arrays
    direction : tuple of trees
        Of the structure of the inputs.
    step : float

    Returns
    -------
    tangents : tuple of trees
        Of the structure of the outputs.

    Examples
    --------
    >>> square = lambda x: (x * x, None)
    >>> complex_step(square, (np.array([3.0]),), (np.array([1.0]),))
    (array([6.]),)
    """
    moved = tree_map(lambda x, v: x + 1j * step * v, tuple(inputs), tuple(direction))
    outputs = tuple(op(*moved)[:-1])
    return tree_map(lambda y: y.imag / step, outputs)


def central_difference(op, inputs, direction, step=1e-6):
    """Return the tangent of the outputs along a direction, approximately, Eq. (0.4).

    Like `complex_step`, for ops that take no complex arrays. Truncation errs by step^2 and rounding
    by eps / step: the default leaves about 1e-9 in float64. Where the outputs are at most quadratic
    along every line there is no truncation, and step=1 is exact to rounding.

    Examples
    --------
    >>> square = lambda x: (x * x, None)
    >>> central_difference(square, (np.array([3.0]),), (np.array([1.0]),), step=1.0)
    (array([6.]),)
    """
    inputs, direction = tuple(inputs), tuple(direction)
    ahead = tuple(op(*tree_map(lambda x, v: x + step * v, inputs, direction))[:-1])
    behind = tuple(op(*tree_map(lambda x, v: x - step * v, inputs, direction))[:-1])
    return tree_map(lambda y, z: (y - z) / (2 * step), ahead, behind)


def check_vjp(op, backward, inputs, tangent=complex_step, tolerance=1e-10, rng=None):
    """Check every gradient leaf of a pair along a random direction, Eq. (0.11).

    For a random cotangent w and, leaf by leaf, a random direction v, the adjoint identity
    Eq. (0.3) says <w, J v> = <J^T w, v>: the left side comes from `tangent`, the right side from
    `backward`. One direction for each leaf, so that a small leaf cannot hide behind a large one.

    Parameters
    ----------
    op : callable
        `*outputs, cache = op(*inputs)`.
    backward : callable
        `grads = backward(*doutputs, cache)`: one gradient for each input, in order; of a single
        input, its gradient alone.
    inputs : tuple
        Trees of float64 arrays; None is skipped. Integers are not inputs here: close over them.
        Complex arrays need `central_difference`; their gradient is dL/d(re) + i dL/d(im).
    tangent : callable
        `complex_step`, `central_difference`, or a function of yours with their arguments.
    tolerance : float
        On the difference of the two sides over the sum of the magnitudes of their terms. Besides,
        a difference within the rounding of the outputs, eight eps of <|w|, |outputs|>, is always
        allowed: it is all that a gradient which should vanish can consist of.
    rng : numpy.random.Generator, optional

    Returns
    -------
    errors : dict
        Dotted path of every leaf -> its relative difference. An AssertionError names the leaf whose
        difference is too large, with both numbers.

    Examples
    --------
    >>> def square(x):
    ...     return x * x, x
    >>> check_vjp(square, lambda dy, x: dy * 2 * x, (np.arange(3.0),))["x"] < 1e-15
    True
    >>> try:
    ...     check_vjp(square, lambda dy, x: dy * x, (np.array([3.0]),))
    ... except AssertionError as error:
    ...     print(str(error).split(":")[0])
    the gradient of x is wrong
    """
    rng = _own_stream() if rng is None else rng
    *outputs, cache = op(*inputs)
    cotangents = tree_map(lambda y: _normal(rng, y), tuple(outputs))
    grads = backward(*cotangents, cache)
    grads = _gradient_leaves(op, inputs, grads if len(inputs) > 1 else (grads,))
    noise = 8 * np.finfo(np.float64).eps * inner(cotangents, tuple(outputs))[1]
    errors = {}
    for index, (path, grad) in enumerate(grads.items()):
        direction = _direction(rng, inputs, index)
        pushed = tangent(op, inputs, direction)
        left, left_size = inner(cotangents, pushed)
        right, right_size = inner(grad, tree_leaves(direction)[index][1])
        size = left_size + right_size
        errors[path] = _relative(left - right, size)
        assert abs(left - right) <= tolerance * size + noise, (
            f"the gradient of {path} is wrong: along a random direction the outputs move by "
            f"{left:.12g}, the gradient says {right:.12g} "
            f"(relative difference {errors[path]:.1e}, tolerance {tolerance:.1e})"
        )
    return errors


def check_adjoint(op, adjoint, x, dy, tolerance=1e-13):
    """Check that two linear maps are adjoint, Eq. (0.3); return the relative difference.

    <op(x), dy> = <x, adjoint(dy)>. Nothing is differentiated, so this is exact to rounding and
    needs no complex arrays.

    Parameters
    ----------
    op, adjoint : callable
        Linear; each takes a tree and returns a tree.
    x, dy : trees
        What to try them on: random arrays of your choice.
    tolerance : float
        On the difference of the two sides over the sum of the magnitudes of their terms.

    Examples
    --------
    >>> W = np.array([[1.0, 2.0]])
    >>> check_adjoint(lambda x: x @ W, lambda dy: dy @ W.T, np.ones((5, 1)), np.ones((5, 2)))
    0.0
    """
    left, left_size = inner(op(x), dy)
    right, right_size = inner(x, adjoint(dy))
    error = _relative(left - right, left_size + right_size)
    assert error <= tolerance, (
        f"the maps are not adjoint: <op(x), dy> is {left:.12g}, <x, adjoint(dy)> is {right:.12g} "
        f"(relative difference {error:.1e}, tolerance {tolerance:.1e})"
    )
    return error


def inner(x, y):
    """Return the real inner product of two trees, and the sum of the magnitudes of its terms.

    The second number is what rounding errors are proportional to, however much the first cancels.

    Examples
    --------
    >>> inner((np.array([3.0, -3.0]), None), (np.array([1.0, 1.0]), None))
    (0.0, 6.0)
    """
    products = tree_map(lambda a, b: (a.conj() * b).real, x, y)
    leaves = [leaf for _, leaf in tree_leaves(products)]
    return sum(float(leaf.sum()) for leaf in leaves), sum(float(abs(leaf).sum()) for leaf in leaves)


def _gradient_leaves(op, inputs, grads):
    """Return {path: gradient}, after requiring one of the right shape for every input leaf."""
    assert len(grads) == len(inputs), f"{len(inputs)} inputs, but {len(grads)} gradients"
    wanted, given = _named_leaves(op, inputs), dict(_named_leaves(op, grads))
    for path, x in wanted:
        if x.dtype.kind not in "fc":
            raise TypeError(f"{path} has dtype {x.dtype}: only floating inputs have gradients")
        assert path in given, f"{path} has no gradient"
        shape = given[path].shape
        assert shape == x.shape, f"the gradient of {path} has shape {shape}, expected {x.shape}"
    return {path: given[path] for path, _ in wanted}


def _named_leaves(op, trees):
    """List (path, leaf) of the trees, each under the name of its parameter of op."""
    names = [p.name for p in signature(op).parameters.values() if p.kind != p.VAR_POSITIONAL]
    if len(names) < len(trees):  # op(*inputs) has no names
        names = [str(i) for i in range(len(trees))]
    named = zip(names, trees, strict=False)
    return [leaf for name, tree in named for leaf in tree_leaves(tree, name)]


def _relative(difference, size):
    """Return |difference| / size; 0 for nothing over nothing, and NaN stays NaN."""
    return 0.0 if difference == 0 else abs(difference) / size


def _own_stream():
    """Return a generator that nobody else seeds the same way.

    Inputs drawn from default_rng(0), checked along directions from default_rng(0), are checked
    along themselves: such a symmetry has hidden a gradient from us.
    """
    return np.random.default_rng([17, 2718281828])


def _direction(rng, inputs, index):
    """Return a tree like the inputs: random on the leaf of that index, zero on the others."""
    leaves = iter(range(len(tree_leaves(inputs))))
    return tree_map(
        lambda x: _normal(rng, x) if next(leaves) == index else array_namespace(x).zeros_like(x),
        tuple(inputs),
    )


def _normal(rng, like):
    """Return normal numbers of the shape, dtype and home of an array, drawn on the host."""
    draw = rng.standard_normal(like.shape)
    if like.dtype.kind == "c":
        draw = draw + 1j * rng.standard_normal(like.shape)
    return from_host(np.asarray(draw, dtype=like.dtype), like)
