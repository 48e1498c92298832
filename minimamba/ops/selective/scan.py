"""Mamba's selective scan, fast: what `naive` defines, without ever holding a (b, l, e, n) array.

It works through cache-sized chunks (`chunks`), keeps the state at their borders only, and its
backward computes each chunk again. What it allocates beyond inputs and outputs is `plan.memory`.
CuPy arrays of float32 go to a CUDA kernel that does the same (`dispatch`); sequences of bfloat16 go
to it directly (`kernels.selective.forward` and `backward`).
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.dispatch import dispatch
from minimamba.ops._checks import overflow_is_inf
from minimamba.ops.selective import chunks
from minimamba.ops.selective import plan as plans
from minimamba.ops.selective.memory import short_buffers
from minimamba.ops.selective.naive import (
    SelectiveScanGrads,
    SelectiveScanInputs,
    check_cotangents,
    check_inputs,
)


class SelectiveScanCache(NamedTuple):
    """What `selective_scan_backward` needs: the inputs, and the states at the borders of chunks."""

    inputs: SelectiveScanInputs
    h0: Array | None  # (b, e, n)
    borders: Array  # (chunks + 1, b, n, e): h0, the state after every chunk
    raw: Array | None  # (b, l, e), delta where softplus is taken of it; None without softplus
    plan: plans.Plan  # the sizes of its chunks


def selective_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, h0=None
):
    """Run the selective state space over whole sequences, Eqs. (7.1) to (7.5).

    Official: mamba_ssm selective_scan_fn(u, delta, A, B, C, D, z, delta_bias, delta_softplus,
    return_last_state), layout (b, d, l); B and C may be constant or grouped there.

    Parameters
    ----------
    u, delta : array, shape (b, l, e)
        Input and step size; delta may be negative (then the state grows where A < 0).
    A : array, shape (e, n)
        Continuous-time decay rates, negative in a stable system.
    B, C : array, shape (b, l, n)
        What each token writes to the state and reads from it.
    D, delta_bias : array, shape (e,), optional
        Skip connection; bias added to delta.
    z : array, shape (b, l, e), optional
        Gate: the output is multiplied by silu(z).
    delta_softplus : bool
        Whether the step size is softplus(delta + delta_bias).
    h0 : array, shape (b, e, n), optional
        State before the first token; zero if absent.

    Returns
    -------
    y : array, shape (b, l, e)
    h_last : array, shape (b, e, n)
        State after the last token: pass it as `h0` to go on.
    cache : SelectiveScanCache

    See Also
    --------
    selective_scan_backward, selective_scan_step, selective_scan_naive

    Examples
    --------
    >>> u = np.ones((1, 3, 1))
    >>> y, h_last, cache = selective_scan(u, u, np.log(np.full((1, 1), 0.5)), u, u)
    >>> y[0, :, 0]                                  # each step halves the state, then adds one
    array([1.  , 1.5 , 1.75])
    """
    x = SelectiveScanInputs(u, delta, A, B, C, D, z, delta_bias)
    check_inputs(x, h0)
    kernel = dispatch("selective_scan", u) if A.size else None  # none is built for no states
    if kernel is not None:
        return kernel(x, h0, delta_softplus)
    xp = array_namespace(u)
    (b, l, e), n = u.shape, A.shape[1]
    plan = plans.plan(b, l, n, e, u.dtype.itemsize)
    borders = xp.empty((len(plans.slices(l, plan.steps)) + 1, b, n, e), u.dtype)
    borders[0] = 0 if h0 is None else xp.swapaxes(h0, 1, 2)
    y = xp.empty((b, l, e), u.dtype)
    work = plans.allocate(xp, plan, n, e, u.dtype, adjoint=False)
    with overflow_is_inf(xp), short_buffers(xp):
        for row, span, border in plans.walk(b, l, plan):
            tile = chunks.cut(x, row, span)
            tile_y = chunks.tile_forward(tile, delta_softplus, borders[border, row], work)
            y[row, span] = xp.swapaxes(tile_y, 0, 1)
    h_last = xp.ascontiguousarray(xp.swapaxes(borders[-1], 1, 2))
    raw = delta if delta_softplus else None
    return y, h_last, SelectiveScanCache(x, h0, borders, raw, plan)


def selective_scan_backward(dy, dh_last, cache):
    """Pull dy and dh_last back through `selective_scan`, Eqs. (7.6) to (7.10).

    Parameters
    ----------
    dy : array, shape (b, l, e)
        Gradient of the output.
    dh_last : array, shape (b, e, n), or None
        Gradient of the last state; None if nothing depends on it.
    cache : SelectiveScanCache

    Returns
    -------
    grads : SelectiveScanGrads

    Examples
    --------
    >>> u = np.ones((1, 3, 1))
    >>> y, h_last, cache = selective_scan(u, u, np.log(np.full((1, 1), 0.5)), u, u)
    >>> grads = selective_scan_backward(np.ones_like(y), None, cache)
    >>> grads.u[0, :, 0]                       # the first token is read three times, halved twice
    array([1.75, 1.5 , 1.  ])
    """
    x = cache.inputs
    check_cotangents(dy, dh_last, x)
    kernel = dispatch("selective_scan_backward", cache)
    if kernel is not None:
        return kernel(dy, dh_last, cache)
    xp = array_namespace(dy)
    (b, l, e), n = x.u.shape, x.A.shape[1]
    grads = _empty_grads(xp, x)
    carries = xp.empty((b, n, e), dy.dtype)
    carries[...] = 0 if dh_last is None else xp.swapaxes(dh_last, 1, 2)
    work = plans.allocate(xp, cache.plan, n, e, dy.dtype, adjoint=True)
    with overflow_is_inf(xp), short_buffers(xp):
        for row, span, border in reversed(plans.walk(b, l, cache.plan)):
            part = chunks.tile_backward(
                chunks.time_first(dy[row, span]),
                chunks.cut(x, row, span),
                cache.raw is not None,
                cache.borders[border, row],
                carries[row],
                work,
            )
            _collect(grads, part, row, span)
    dh0 = None if cache.h0 is None else xp.ascontiguousarray(xp.swapaxes(carries, 1, 2))
    return grads._replace(h0=dh0)


def _empty_grads(xp, x):
    """Return the gradients to be filled: those of sequences unset, those of weights zero."""

    def empty(array):
        return None if array is None else xp.empty(array.shape, array.dtype)

    def zeros(array):
        return None if array is None else xp.zeros(array.shape, array.dtype)

    sequences = {name: empty(getattr(x, name)) for name in ("u", "delta", "B", "C", "z")}
    weights = {name: zeros(getattr(x, name)) for name in ("A", "D", "delta_bias")}
    return SelectiveScanGrads(**sequences, **weights, h0=None)


def _collect(grads, part, row, span):
    """Write one tile's gradients to their places; those of the weights are sums over tiles."""
    for name in ("u", "delta", "B", "C", "z"):
        if getattr(grads, name) is not None:
            getattr(grads, name)[row, span] = getattr(part, name).swapaxes(0, 1)
    for name in ("A", "D", "delta_bias"):
        if getattr(grads, name) is not None:
            getattr(grads, name)[...] += getattr(part, name)
