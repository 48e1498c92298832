"""The same blocks where one position of every row is read: no loop over time, one row to gate.

Lengths and positions may stay on the host beside CuPy arrays: then nothing waits for the GPU.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace, on_gpu, to_host
from minimamba.blocks.bidirectional import EPS, BidirectionalCache, BidirectionalParams
from minimamba.blocks.echo import (
    EchoBlockParams,
    filter_and_mix,
    filter_and_mix_backward,
    gate,
    gate_backward,
)
from minimamba.blocks.mamba import MambaParams
from minimamba.blocks.residual import ResidualNormCache, residual_norm, residual_norm_backward
from minimamba.blocks.sequence import flip_window
from minimamba.ops.conv import ConvCache, causal_conv1d, causal_conv1d_backward
from minimamba.ops.elementwise import SiluCache, silu, silu_backward
from minimamba.ops.glu import GLUCache
from minimamba.ops.linear import LinearCache, LinearParams, linear, linear_backward
from minimamba.ops.selective.last import (
    SelectiveLastCache,
    selective_scan_last,
    selective_scan_last_backward,
)
from minimamba.ops.spectral import CirculantCache, DenseCache, FourierCache
from minimamba.trees import tree_map

# Rows worked on at once: sorted by length, so that each group is cut where it ends. On a GPU, all.
GROUP = 16


class GroupCache(NamedTuple):
    """The intermediates of some rows, cut at their longest."""

    rows: Array  # (rows,), which of the batch
    last: Array  # (rows,)
    in_u: LinearCache
    in_z: LinearCache
    conv1d: ConvCache  # or that of its kernel
    silu: SiluCache
    x_now: LinearCache
    x_read: LinearCache
    dt_proj: LinearCache
    A: Array  # (e, n)
    scan: SelectiveLastCache
    out_proj: LinearCache


class MambaLastCache(NamedTuple):
    """What `mamba_last_backward` needs."""

    x: Array  # (b, l, d)
    p: MambaParams
    groups: tuple[GroupCache, ...]


class BidirectionalReadCache(NamedTuple):
    """What `bidirectional_read_backward` needs."""

    causal: MambaLastCache
    causal_norm: ResidualNormCache
    anticausal: MambaLastCache
    anticausal_norm: ResidualNormCache
    lengths: Array  # (b,)


class EchoReadCache(NamedTuple):
    """What `echo_block_read_backward` needs."""

    filter: DenseCache | FourierCache | CirculantCache
    filter_norm: ResidualNormCache
    mixers: tuple[BidirectionalCache, ...]  # all but the last
    read: BidirectionalReadCache
    glu: GLUCache
    glu_norm: ResidualNormCache


def read_last(lengths):
    """Read both directions at the last item, as the release does, Eq. (11.14).

    Two int arrays of shape (b,): where the causal and where the anticausal direction is read.

    Examples
    --------
    >>> read_last(np.array([3, 1]))
    (array([2, 0]), array([2, 0]))
    """
    return lengths - 1, lengths - 1


def read_ends(lengths):
    """Read each direction where it has seen every item: the last and the first, Eq. (11.14).

    Examples
    --------
    >>> read_ends(np.array([3, 1]))
    (array([2, 0]), array([0, 0]))
    """
    return lengths - 1, lengths * 0


def at(x, position):
    """Take one position of every row: (b, l, ...) to (b, ...)."""
    return x[array_namespace(x).arange(len(x)), position]


def at_backward(dy, position, length):
    """Put dy, shape (b, d), back at its position in zeros of shape (b, l, d)."""
    xp = array_namespace(dy)
    dx = xp.zeros((len(dy), length, *dy.shape[1:]), dy.dtype)
    dx[xp.arange(len(dy)), position] = dy
    return dx


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
        y[rows], cache = _group(x[rows, : int(last[rows].max()) + 1], rows, last[rows], p)
        groups.append(cache)
    return y, MambaLastCache(x, p, tuple(groups))


def mamba_last_backward(dy, cache):
    """Pull dy, shape (b, d), back to (dx, dp), Eq. (7.12) and Eq. (7.14)."""
    xp = array_namespace(dy)
    dx, dp = xp.zeros_like(cache.x), tree_map(xp.zeros_like, cache.p)
    for c in cache.groups:
        dx_rows, dp_rows = _group_backward(dy[c.rows], c)
        dx[c.rows, : dx_rows.shape[1]] = dx_rows
        dp = tree_map(xp.add, dp, dp_rows)
    return dx, dp


def bidirectional_read(x, lengths, p, rate=0.0, rng=None, flip=flip_window, read=read_last):
    """Return the sum of the two branches, each at the one position where it is read.

    With `read_last` this is `bidirectional` at the last item, Eq. (11.10) with Eq. (7.11).

    Arguments as for `bidirectional`; `read` is `read_last` (as released) or `read_ends`.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> from minimamba.blocks.bidirectional import bidirectional
    >>> x, lengths = np.random.default_rng(1).normal(size=(2, 5, 4)), np.array([5, 2])
    >>> row, _ = bidirectional_read(x, lengths, p.layers[0].mixers[0])
    >>> full, _ = bidirectional(x, lengths, p.layers[0].mixers[0])
    >>> bool(np.allclose(row, full[[0, 1], lengths - 1], rtol=0, atol=1e-14))
    True
    """
    t, s = read(lengths)
    y, c_causal = mamba_last(x, t, p.causal)
    y, c_causal_norm = residual_norm(y, at(x, t), p.causal_norm, rate, rng, EPS)
    w, c_anti = mamba_last(flip(x, lengths), _flipped(s, lengths, x, flip), p.anticausal)
    w, c_anti_norm = residual_norm(w, at(x, s), p.anticausal_norm, rate, rng, EPS)
    return y + w, BidirectionalReadCache(c_causal, c_causal_norm, c_anti, c_anti_norm, lengths)


def bidirectional_read_backward(dy, cache, flip=flip_window, read=read_last):
    """Pull dy, shape (b, d), back to (dx, dp), Eq. (11.10). `flip` and `read` as forward."""
    dx_causal, causal, causal_norm = causal_read_backward(dy, cache, read)
    dx_anti, anticausal, anticausal_norm = anticausal_read_backward(dy, cache, flip, read)
    dp = BidirectionalParams(causal, causal_norm, anticausal, anticausal_norm)
    return dx_causal + dx_anti, dp


def causal_read_backward(dy, cache, read=read_last):
    """Pull dy back through the causal branch alone: (dx, dp of its Mamba, dp of its norm)."""
    dy, dx_row, norm = residual_norm_backward(dy, cache.causal_norm)
    dx, causal = mamba_last_backward(dy, cache.causal)
    position, _ = read(cache.lengths)
    return dx + at_backward(dx_row, position, dx.shape[1]), causal, norm


def anticausal_read_backward(dy, cache, flip=flip_window, read=read_last):
    """Pull dy back through the anticausal branch alone: (dx, dp of its Mamba, dp of its norm)."""
    dy, dx_row, norm = residual_norm_backward(dy, cache.anticausal_norm)
    dx, anticausal = mamba_last_backward(dy, cache.anticausal)
    _, position = read(cache.lengths)
    dx = flip(dx, cache.lengths) + at_backward(dx_row, position, dx.shape[1])
    return dx, anticausal, norm


def echo_block_read(x, lengths, p, rate=0.0, rng=None, flip=flip_window, read=read_last):
    """Run the block where only the read-out is needed, Eq. (11.14): (b, l, d) to (b, d).

    The last mixer, the gated linear unit and the norms see one row per sequence. Arguments as for
    `echo_block`; `read` is `read_last` (as released) or `read_ends`.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> echo_block_read(np.ones((2, 5, 4)), np.array([5, 2]), p.layers[0])[0].shape
    (2, 4)
    """
    x, *c_first = filter_and_mix(x, lengths, p, p.mixers[:-1], rate, rng, flip)
    row, c_read = bidirectional_read(x, lengths, p.mixers[-1], rate, rng, flip, read)
    row, *c_gate = gate(row, p, rate, rng)
    return row, EchoReadCache(*c_first, c_read, *c_gate)


def echo_block_read_backward(dy, cache, flip=flip_window, read=read_last):
    """Pull dy, shape (b, d), back to (dx, dp), Eq. (11.13). `flip` and `read` as forward."""
    drow, glu_params, glu_norm = gate_backward(dy, cache)
    dx, last = bidirectional_read_backward(drow, cache.read, flip, read)
    dx, filter_params, filter_norm, mixers = filter_and_mix_backward(dx, cache, flip)
    dp = EchoBlockParams(filter_params, filter_norm, (*mixers, last), glu_params, glu_norm)
    return dx, dp


def _group(x, where, last, p):
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
    return y, GroupCache(
        where, last, c_u, c_z, c_conv, c_silu, c_now, c_read, c_dt, A, c_scan, c_out
    )


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


def _flipped(position, lengths, x, flip):
    """Say where each position lands when the sequence is flipped."""
    xp = array_namespace(position)  # the host, if the lengths are there: no wait for a GPU
    index = xp.broadcast_to(xp.arange(x.shape[1]), x.shape[:2])
    return at(flip(index, lengths), position)
