"""The Mamba block where only one position of every row is read: no loop over time."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace, on_gpu, to_host
from minimamba.blocks.mamba import MambaParams
from minimamba.ops.conv import causal_conv1d, causal_conv1d_backward
from minimamba.ops.elementwise import silu, silu_backward
from minimamba.ops.linear import LinearParams, linear, linear_backward
from minimamba.ops.selective.last import selective_scan_last, selective_scan_last_backward
from minimamba.trees import tree_map

# Rows worked on at once: sorted by length, so that each group is cut where it ends. On a GPU, all.
GROUP = 16


class MambaLastCache(NamedTuple):
    """What `mamba_last_backward` needs."""

    x: Array  # (b, l, d)
    p: MambaParams
    groups: tuple  # of (rows, GroupCache)


class GroupCache(NamedTuple):
    """The intermediates of one group of rows, cut at its longest."""

    last: Array  # (rows,)
    in_u: object
    in_z: object
    conv1d: object
    silu: object
    x_now: object
    x_read: object
    dt_proj: object
    A: Array  # (e, n)
    scan: object
    out_proj: object


def mamba_last(x, last, p):
    """Return the block's output at one position of every row, Eq. (7.11) and Eq. (7.13).

    Equal to `mamba(x, p)[0][row, last]`, at a fraction of the work: nothing behind `last` is
    touched, the gate, the read-out C and out_proj are computed for the row that is read, and the
    scan is a sum.

    Parameters
    ----------
    x : array, shape (b, l, d)
    last : int array, shape (b,)
        The position to read in every row. May stay on the host beside CuPy arrays: then nothing
        waits for the GPU.
    p : MambaParams

    Returns
    -------
    y : array, shape (b, d)
    cache : MambaLastCache

    Examples
    --------
    >>> import numpy as np
    >>> from minimamba.blocks.init import init_mamba
    >>> from minimamba.blocks.mamba import mamba
    >>> rng = np.random.default_rng(0)
    >>> p, x = init_mamba(rng, width=4, state=2), rng.normal(size=(2, 5, 4))
    >>> last = np.array([1, 4])
    >>> y, _ = mamba_last(x, last, p)
    >>> bool(np.allclose(y, mamba(x, p)[0][[0, 1], last], rtol=0, atol=1e-15))
    True
    """
    xp = array_namespace(x)
    y = xp.empty((len(x), p.out_proj.weight.shape[1]), x.dtype)
    last, groups = to_host(last), []
    order, size = last.argsort(), max(1, len(x)) if on_gpu(x) else GROUP
    for start in range(0, len(x), size):
        rows = order[start : start + size]
        y[rows], cache = _group(x[rows, : int(last[rows].max()) + 1], last[rows], p)
        groups.append((rows, cache))
    return y, MambaLastCache(x, p, tuple(groups))


def mamba_last_backward(dy, cache):
    """Pull dy, shape (b, d), back to x and the weights, Eq. (7.12) and Eq. (7.14).

    Returns
    -------
    dx : array, shape (b, l, d)
    dp : MambaParams
    """
    xp = array_namespace(dy)
    dx, dp = xp.zeros_like(cache.x), tree_map(xp.zeros_like, cache.p)
    for rows, c in cache.groups:
        dx_rows, dp_rows = _group_backward(dy[rows], c)
        dx[rows, : dx_rows.shape[1]] = dx_rows
        dp = tree_map(xp.add, dp, dp_rows)
    return dx, dp


def _group(x, last, p):
    xp = array_namespace(x)
    rows, e, seen = xp.arange(len(x)), len(p.D), p.x_proj.weight.shape[1] - p.A_log.shape[1]
    in_u, in_z = _cut(p.in_proj, e)
    x_now, x_read = _cut(p.x_proj, seen)  # delta and B at every step, C where it is read
    u, c_u = linear(x, in_u)
    z, c_z = linear(x[rows, last], in_z)
    u, _, c_conv = causal_conv1d(u, p.conv1d)
    v, c_silu = silu(u)
    selected, c_now = linear(v, x_now)
    low, B = selected[..., : len(p.dt_proj.weight)], selected[..., len(p.dt_proj.weight) :]
    C, c_read = linear(v[rows, last], x_read)
    delta, c_dt = linear(low, p.dt_proj)
    A = -xp.exp(p.A_log)
    y, c_scan = selective_scan_last(v, delta, A, B, C, last, p.D, z, delta_softplus=True)
    y, c_out = linear(y, p.out_proj)
    return y, GroupCache(last, c_u, c_z, c_conv, c_silu, c_now, c_read, c_dt, A, c_scan, c_out)


def _group_backward(dy, c):
    xp = array_namespace(dy)
    rows = xp.arange(len(dy))
    dy, out_proj = linear_backward(dy, c.out_proj)
    g = selective_scan_last_backward(dy, c.scan)
    dlow, dt_proj = linear_backward(g.delta, c.dt_proj)
    dv_read, x_read = linear_backward(g.C, c.x_read)
    dv, x_now = linear_backward(xp.concatenate([dlow, g.B], axis=-1), c.x_now)
    dv += g.u
    dv[rows, c.last] += dv_read
    du, conv1d, _ = causal_conv1d_backward(silu_backward(dv, c.silu), None, c.conv1d)
    dx_read, in_z = linear_backward(g.z, c.in_z)
    dx, in_u = linear_backward(du, c.in_u)
    dx[rows, c.last] += dx_read
    in_proj, x_proj = _join(in_u, in_z), _join(x_now, x_read)
    return dx, MambaParams(in_proj, conv1d, x_proj, dt_proj, g.A * c.A, g.D, out_proj)


def _cut(p, column):
    """Cut a linear map's outputs in two."""
    return tuple(
        LinearParams(p.weight[:, part], None if p.bias is None else p.bias[part])
        for part in (slice(column), slice(column, None))
    )


def _join(first, second):
    xp = array_namespace(first.weight)
    bias = None if first.bias is None else xp.concatenate([first.bias, second.bias])
    return LinearParams(xp.concatenate([first.weight, second.weight], axis=1), bias)
