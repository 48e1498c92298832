"""The selective scan one cache-sized chunk at a time: the arithmetic behind `selective_scan`.

Within a tile (`plan`) everything is time first and channels last, (t, r, n, e) for time steps,
batch rows, states and channels: the states of one time step are contiguous. Between chunks only
the state survives; the backward starts each chunk from that state and computes the rest again.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops.elementwise import silu, silu_backward, softplus, softplus_backward
from minimamba.ops.selective.naive import SelectiveScanGrads
from minimamba.ops.selective.plan import fit, slices


class Signals(NamedTuple):
    """What the states of a tile are made of and read with.

    Each token's v, B and C is a row above a row of zeros: `outer` says why.
    """

    step: Array  # (t, r, e), Eq. (7.1)
    v: Array  # (t, r, 2, e), step * u
    A: Array  # (n, e)
    B: Array  # (t, r, 2, n)
    C: Array  # (t, r, 2, n)

    def during(self, chunk):
        """Return those of some time steps."""
        step, v, A, B, C = self
        return Signals(step[chunk], v[chunk], A, B[chunk], C[chunk])


class SignalGrads(NamedTuple):
    """Gradients of the Signals of a tile, and what is read from its states again on the way."""

    y: Array  # (t, r, e), what was read
    step: Array  # (t, r, e), without its share through v
    v: Array  # (t, r, e)
    A: Array  # (n, e), a sum over chunks
    B: Array  # (t, r, n)
    C: Array  # (t, r, n)

    def during(self, chunk):
        """Return those of some time steps."""
        y, step, v, A, B, C = self
        return SignalGrads(y[chunk], step[chunk], v[chunk], A, B[chunk], C[chunk])


def time_first(array):
    """Return a contiguous (l, b, ...) of (b, l, ...), whatever its strides are."""
    return array_namespace(array).ascontiguousarray(array.swapaxes(0, 1))


def cut(x, rows, span):
    """Return the inputs of one tile: sequences (l, b, ...), and A (n, e)."""
    names = [name for name in ("u", "delta", "B", "C", "z") if getattr(x, name) is not None]
    sequences = {name: time_first(getattr(x, name)[rows, span]) for name in names}
    return x._replace(A=array_namespace(x.A).ascontiguousarray(x.A.T), **sequences)


def signals(x, delta_softplus):
    """Return the Signals of a tile, and what the backward of its step size needs."""
    raw = x.delta if x.delta_bias is None else x.delta + x.delta_bias
    step, cache = softplus(raw) if delta_softplus else (raw, None)
    v, B, C = above_zeros(step * x.u), above_zeros(x.B), above_zeros(x.C)
    return Signals(step, v, x.A, B, C), cache


def above_zeros(x):
    """Return (t, r, 2, k) of (t, r, k)."""
    out = array_namespace(x).empty((*x.shape[:2], 2, x.shape[2]), x.dtype)
    out[:, :, 0], out[:, :, 1] = x, 0
    return out


def tile_forward(x, delta_softplus, borders, work):
    """Return the output of one tile, Eq. (7.5); write the state after each chunk to `borders`."""
    s, _ = signals(x, delta_softplus)
    y, work = array_namespace(x.u).empty_like(x.u), fit(work, borders.shape[1:])
    for i, chunk in enumerate(slices(len(y), len(work.a))):
        now = s.during(chunk)
        _, h = states(now, borders[i], work)
        read(now.C, h[1:], out=y[chunk])
        borders[i + 1] = h[-1]
    if x.D is not None:
        y += x.D * x.u  # Eq. (7.4)
    if x.z is not None:
        y *= silu(x.z)[0]
    return y


def states(s, state, work):
    """Run the recurrence over one chunk; return its decays and its states, Eqs. (7.2), (7.3).

    The states are (t + 1, r, n, e): the first is `state`, the last the one after the chunk.
    """
    xp = array_namespace(state)
    a, h = work.a[: len(s.v)], work.h[: len(s.v) + 1]
    xp.exp(xp.multiply(s.step[:, :, None, :], s.A, out=a), out=a)
    outer(s.B, s.v, out=h[1:])
    h[0] = state
    multiply, add, decayed = xp.multiply, xp.add, work.state
    for a_t, h_t in zip(a, h[1:], strict=True):
        multiply(a_t, state, decayed)
        state = add(h_t, decayed, h_t)
    return a, h


def outer(B, v, out):
    """Write B_t v_t for every state and channel, (t, r, n, e), to `out`.

    As a matrix product, which the BLAS writes as fast as the cache takes it; NumPy's broadcasting
    takes three times as long. The inner dimension would be 1, but NumPy asks the BLAS only from 2
    on: hence the rows of zeros.
    """
    return array_namespace(v).matmul(B.swapaxes(2, 3), v, out=out)


def read(C, h, out):
    """Write C_t h_t, Eq. (7.4): a sum over states, (t, r, e), of the states h (t, r, n, e)."""
    array_namespace(h).matmul(C[:, :, :1], h, out=out[:, :, None])


def sum_channels(h, v, out):
    """Write h_t v_t: a sum over channels, (t, r, n)."""
    array_namespace(h).matmul(h, v[:, :, 0, :, None], out=out[..., None])


def tile_backward(dy, x, delta_softplus, borders, carry, work):
    """Pull dy back through one tile.

    `carry` is a_{t+1} g_{t+1} at the end of the tile, (r, n, e), and is overwritten by the same
    quantity at its beginning: the only thing that an earlier tile has to know of a later one. The
    gradients of A, D and delta_bias are this tile's share of a sum.
    """
    xp = array_namespace(dy)
    s, step_cache = signals(x, delta_softplus)
    gate, gate_cache = (None, None) if x.z is None else silu(x.z)
    dread = dy if gate is None else dy * gate
    y, dstep, dv, dA, dB, dC = adjoint_signals(above_zeros(dread), s, borders, carry, work)
    du, dstep, dD = dv * s.step, dstep + dv * x.u, None
    if x.D is not None:
        y += x.D * x.u
        du += x.D * dread
        dD = xp.einsum("tre,tre->e", dread, x.u)  # Eq. (7.10)
    dz = None if gate is None else silu_backward(dy * y, gate_cache)  # Eq. (7.10)
    ddelta = softplus_backward(dstep, step_cache) if delta_softplus else dstep
    dbias = None if x.delta_bias is None else ddelta.sum(axis=(0, 1))
    return SelectiveScanGrads(du, ddelta, dA.T, dB, dC, dD, dz, dbias, h0=None)


def adjoint_signals(dread, s, borders, carry, work):
    """Pull the gradient of what was read, (t, r, 2, e), back to the Signals."""
    xp = array_namespace(dread)
    like = s.step, s.step, s.step, s.A, s.B[:, :, 0], s.C[:, :, 0]
    d = SignalGrads(*(xp.empty(x.shape, x.dtype) for x in like))
    d.A[...] = 0
    work = fit(work, carry.shape)
    for i, chunk in reversed(list(enumerate(slices(len(dread), len(work.a))))):
        chunk_backward(dread[chunk], s.during(chunk), borders[i], carry, work, d.during(chunk))
    return d


def chunk_backward(dread, s, state, carry, work, d):
    """Write to `d` the gradients of one chunk, which starts from `state`."""
    xp = array_namespace(state)
    a, h = states(s, state, work)
    read(s.C, h[1:], out=d.y)
    sum_channels(h[1:], dread, out=d.C)  # Eq. (7.7)
    g = adjoint_states(dread, s.C, a, carry, work)
    sum_channels(g, s.v, out=d.B)  # Eq. (7.7)
    read(s.B, g, out=d.v)
    q = xp.multiply(a, h[:-1], out=a)  # a_t g_t h_{t-1}: what one unit of step * A moves
    d.A[...] += xp.einsum("trne,tre->ne", q, s.step)  # Eq. (7.9)
    d.step[...] = xp.einsum("trne,ne->tre", q, s.A)  # Eq. (7.8)


def adjoint_states(dread, C, a, carry, work):
    """Return g_t = C_t dread_t + a_{t+1} g_{t+1}, Eq. (7.6); leave a_t g_t in the place of a_t."""
    xp = array_namespace(a)
    g = outer(C, dread, out=work.g[: len(a)])
    multiply, add, later = xp.multiply, xp.add, carry
    for a_t, g_t in zip(a[::-1], g[::-1], strict=True):
        add(g_t, later, g_t)
        later = multiply(a_t, g_t, a_t)
    carry[...] = later
    return g
