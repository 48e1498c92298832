"""The selective scan one cache-sized block at a time: the arithmetic behind `selective`.

A block is a few batch rows and a few time steps. Its arrays have the layout (b, t, n, e): channels
last, so that every inner loop runs over contiguous numbers. Between blocks only the state
survives; the backward starts each block from that state and computes the rest again.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops.elementwise import silu, silu_backward, softplus, softplus_backward

SLAB_BYTES = 1 << 15  # one time step of a block: it should stay in the first-level cache
BLOCK_BYTES = 1 << 20  # one work array of a block: three of them should stay in the cache


class SelectiveScanInputs(NamedTuple):
    """The inputs of a selective scan, or of one block of it; absent options are None."""

    u: Array  # (b, l, e)
    delta: Array  # (b, l, e)
    A: Array  # (e, n)
    B: Array  # (b, l, n)
    C: Array  # (b, l, n)
    D: Array | None  # (e,)
    z: Array | None  # (b, l, e)
    delta_bias: Array | None  # (e,)
    delta_softplus: bool


class Work(NamedTuple):
    """The memory of one block, used again by every block."""

    a: Array  # (rows, steps, n, e) decays
    h: Array  # (rows, steps + 1, n, e) states, the one before the block first
    g: Array | None  # (rows, steps, n, e) adjoint states


def plan(b, l, n, e, itemsize):
    """Return how many batch rows and time steps make a block."""
    state = max(1, n * e * itemsize)
    rows = max(1, min(b, SLAB_BYTES // state))
    steps = max(1, min(l, BLOCK_BYTES // (rows * state)))
    return rows, steps


class Memory(NamedTuple):
    """Bytes that a selective scan allocates beyond its inputs and outputs."""

    borders: int  # kept for the backward: one state for every block
    forward: int  # at most, beside the borders, while the forward runs
    backward: int  # at most, while the backward runs


def memory(b, l, n, e, itemsize):
    """Return what a scan of these sizes allocates, Memory; nothing in it grows like l n e.

    A work array holds rows x steps states, some 1 MiB (`plan`): the forward has two of them, the
    backward three. Beside them a block has some 9 arrays of the size of its piece of u in the
    forward and 18 in the backward, and a few of the size of B. The borders grow with l, but
    `steps` times more slowly than the states would.
    """
    rows, steps = plan(b, l, n, e, itemsize)
    state, block = n * e * itemsize, rows * steps * itemsize
    work, few = block * n * e, 4 * block * n + (rows + 2) * state
    borders = (len(pieces(l, steps)) + 1) * b * state
    forward = 2 * work + 9 * block * e + few
    return Memory(borders, forward, 3 * work + 18 * block * e + few + b * state)


def pieces(total, size):
    """Return the slices of at most `size` that cover range(total), in order."""
    return [slice(i, min(i + size, total)) for i in range(0, total, size)]


def allocate(xp, rows, steps, n, e, dtype, adjoint):
    """Return the work arrays of one block."""
    a = xp.empty((rows, steps, n, e), dtype)
    h = xp.empty((rows, steps + 1, n, e), dtype)
    return Work(a, h, xp.empty_like(a) if adjoint else None)


def cut(x, rows, steps):
    """Return the inputs of one block, contiguous whatever the strides of the whole are.

    A becomes (n, e): channels last, like everything in a block.
    """
    xp = array_namespace(x.u)

    def block(array):
        return None if array is None else xp.ascontiguousarray(array[rows, steps])

    sequences = {name: block(getattr(x, name)) for name in ("u", "delta", "B", "C", "z")}
    return x._replace(A=xp.ascontiguousarray(x.A.T), **sequences)


def step_size(x):
    """Return the step size, Eq. (7.1), and what its backward needs."""
    raw = x.delta if x.delta_bias is None else x.delta + x.delta_bias
    return softplus(raw) if x.delta_softplus else (raw, None)


def run(x, step, state, work):
    """Run the recurrence over one block; return its decays and its states, Eqs. (7.2), (7.3).

    The states are (rows, steps + 1, n, e): the first is `state`, the last the one after the block.
    """
    xp = array_namespace(x.u)
    rows, steps = x.u.shape[:2]
    a, h = work.a[:rows, :steps], work.h[:rows, : steps + 1]
    xp.multiply(step[:, :, None, :], x.A, out=a)
    xp.exp(a, out=a)
    xp.multiply((step * x.u)[:, :, None, :], x.B[:, :, :, None], out=h[:, 1:])
    h[:, 0] = state
    decayed = xp.empty_like(state)
    for a_t, h_t in zip(xp.moveaxis(a, 1, 0), xp.moveaxis(h, 1, 0)[1:], strict=True):
        xp.multiply(a_t, state, out=decayed)
        state = xp.add(h_t, decayed, out=h_t)
    return a, h


def read(x, h):
    """Return y_t = C_t h_t + D u_t, Eq. (7.4), from the states h (rows, steps, n, e)."""
    xp = array_namespace(h)
    y = xp.matmul(x.C[:, :, None, :], h)[:, :, 0]
    if x.D is not None:
        y += x.D * x.u
    return y


def block_forward(x, state, work):
    """Return the output of one block, Eq. (7.5), and the state after it (a view of `work`)."""
    step, _ = step_size(x)
    _, h = run(x, step, state, work)
    y = read(x, h[:, 1:])
    if x.z is not None:
        y *= silu(x.z)[0]
    return y, h[:, -1]


def block_backward(dy, x, state, carry, work):
    """Pull dy back through one block.

    `carry` is a_{t+1} g_{t+1} at the end of the block, (rows, n, e), and is overwritten by the same
    quantity at its beginning: the only thing that an earlier block has to know of a later one.
    Returns the gradients of the block's inputs as SelectiveScanInputs; dA, dD and the gradient of
    delta_bias are this block's share of a sum.
    """
    xp = array_namespace(dy)
    step, step_cache = step_size(x)
    a, h = run(x, step, state, work)
    dy, dz = gate_backward(dy, x, h[:, 1:])
    dC = xp.matmul(h[:, 1:], dy[..., None])[..., 0]  # Eq. (7.7)
    g = run_adjoint(dy, x, a, carry, work)
    dB = xp.matmul(g, (step * x.u)[..., None])[..., 0]  # Eq. (7.7)
    dv = xp.matmul(x.B[:, :, None, :], g)[:, :, 0]  # of v = step * u
    q = xp.multiply(a, h[:, :-1], out=a)  # a_t g_t h_{t-1}: what one unit of step * A moves
    dA = xp.einsum("btne,bte->ne", q, step).T  # Eq. (7.9)
    dstep = dv * x.u + xp.einsum("btne,ne->bte", q, x.A)  # Eq. (7.8)
    du, dD = dv * step, None
    if x.D is not None:
        du, dD = du + x.D * dy, xp.einsum("bte,bte->e", dy, x.u)  # Eq. (7.10)
    ddelta = softplus_backward(dstep, step_cache) if x.delta_softplus else dstep
    dbias = None if x.delta_bias is None else ddelta.sum(axis=(0, 1))
    return SelectiveScanInputs(du, ddelta, dA, dB, dC, dD, dz, dbias, x.delta_softplus)


def gate_backward(dy, x, h):
    """Return the gradients of the ungated output and of z, Eq. (7.10)."""
    if x.z is None:
        return dy, None
    gate, gate_cache = silu(x.z)
    return dy * gate, silu_backward(dy * read(x, h), gate_cache)


def run_adjoint(dy, x, a, carry, work):
    """Return g_t = C_t dy_t + a_{t+1} g_{t+1}, Eq. (7.6), and leave a_t g_t in the place of a_t."""
    xp = array_namespace(dy)
    g = work.g[: a.shape[0], : a.shape[1]]
    xp.multiply(dy[:, :, None, :], x.C[:, :, :, None], out=g)
    later = carry
    backwards = xp.moveaxis(a, 1, 0)[::-1], xp.moveaxis(g, 1, 0)[::-1]
    for a_t, g_t in zip(*backwards, strict=True):
        xp.add(g_t, later, out=g_t)
        later = xp.multiply(a_t, g_t, out=a_t)
    carry[...] = later
    return g
