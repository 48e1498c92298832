"""The selective scan where only one position is read: a sum instead of a loop over time."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace, check_indices, from_host, on_gpu, to_host
from minimamba.dispatch import dispatch
from minimamba.ops._checks import check_floating, check_shapes
from minimamba.ops.elementwise import SiluCache, silu, silu_backward, softplus, softplus_backward
from minimamba.ops.selective.scan import (
    SelectiveScanCache,
    selective_scan,
    selective_scan_backward,
)

AXES = {
    "u": "ble", "delta": "ble", "A": "en", "B": "bln", "C": "bn", "last": "b",
    "D": "e", "z": "be", "delta_bias": "e",
}  # fmt: skip
CHUNK = 1 << 18  # numbers in one work array: 1 MiB of float32, half a second-level cache or so
GPU_CHUNK = 1 << 26  # there: enough for a launch to be worth its while


class SummedCache(NamedTuple):
    """What `_summed_backward` needs."""

    u: Array  # (b, l, e)
    step: Array  # (b, l, e), delta after bias and softplus, zero after `last`
    A: Array  # (e, n)
    B: Array  # (b, l, n)
    C: Array  # (b, n)
    last: Array  # (b,)
    ahead: Array  # (b, l, e), the time from t to `last`
    mix: Array  # (b, l, e), C_last . (decay from t to last) B_t


class ScannedCache(NamedTuple):
    """What `_scanned_backward` needs."""

    u: Array  # (b, l, e)
    C: Array  # (b, n)
    h: Array  # (b, e, n), the state at `last`
    scan: SelectiveScanCache  # or that of its kernel


class SelectiveLastCache(NamedTuple):
    """What `selective_scan_last_backward` needs."""

    u: Array  # (b, l, e)
    D: Array | None  # (e,)
    delta_bias: Array | None  # (e,)
    last: Array  # (b,)
    raw: Array | None  # (b, l, e), what softplus was taken of; None without softplus
    read: SummedCache | ScannedCache
    y: Array  # (b, e), before the gate
    gate: Array | None  # (b, e)
    silu: SiluCache | None


class SelectiveLastGrads(NamedTuple):
    """Gradients of the inputs of `selective_scan_last`; None where the input was None."""

    u: Array  # (b, l, e)
    delta: Array  # (b, l, e)
    A: Array  # (e, n)
    B: Array  # (b, l, n)
    C: Array  # (b, n)
    D: Array | None  # (e,)
    z: Array | None  # (b, e)
    delta_bias: Array | None  # (e,)


def selective_scan_last(
    u, delta, A, B, C, last, D=None, z=None, delta_bias=None, delta_softplus=False
):
    """Return the output of the selective scan at one position of every row, Eq. (7.11).

    With the time that is still to come, S_t = delta_{t+1} + ... + delta_last, the state at `last`
    is a plain sum over t, so that nothing has to be carried from step to step:
    h_last = sum_t exp(S_t A) (delta_t u_t) B_t. All exponents are non-positive where A is.

    Parameters
    ----------
    u, delta : array, shape (b, l, e)
        Input and step size. What comes after `last` counts for nothing: delta is not read there,
        u and B are multiplied by zero.
    A : array, shape (e, n)
        Diagonal of the continuous state matrix.
    B : array, shape (b, l, n)
    C : array, shape (b, n)
        The read-out at `last` only.
    last : int array, shape (b,)
        The position to read, 0 <= last < l. May stay on the host beside CuPy arrays: then nothing
        waits for the GPU.
    D, delta_bias : array, shape (e,), optional
    z : array, shape (b, e), optional
        The gate's input at `last`.
    delta_softplus : bool
        Pass delta (after its bias) through softplus.

    Returns
    -------
    y : array, shape (b, e)
        `selective_scan(...)` at `last`.
    cache : SelectiveLastCache

    Notes
    -----
    CuPy arrays of float32 go to the kernel of the whole scan, with delta 0 after `last`.
    Every decay is needed once in the forward and once in the backward pass, so they are made in
    chunks and never kept: work memory is CHUNK numbers, whatever the sizes. On a CPU a chunk of
    old inputs leaves out the states whose decay is below the smallest normal number of the dtype.

    Source: the recurrence of Mamba (Gu and Dao, arXiv 2312.00752, section 3), unrolled.

    Examples
    --------
    >>> one = np.ones((1, 3, 1))
    >>> y, _ = selective_scan_last(one, one, -np.ones((1, 1)), one, np.ones((1, 1)), np.array([2]))
    >>> bool(np.isclose(y[0, 0], 1 + np.exp(-1) + np.exp(-2)))
    True
    """
    given = dict(u=u, delta=delta, A=A, B=B, C=C, D=D, z=z, delta_bias=delta_bias)
    check_floating(given, kinds="fc")
    check_shapes(given | dict(last=last), AXES, sources=("u", "A"))
    check_indices("last", last, u.shape[1])
    fused = A.size and dispatch("selective_scan", *given.values()) is not None
    xp, raw = array_namespace(u), delta if delta_bias is None else delta + delta_bias
    step = _until(last, softplus(raw)[0] if delta_softplus else raw)
    y, read = (_scanned if fused else _summed)(u, step, A, B, C, last)
    if D is not None:
        y = y + D * u[xp.arange(len(u)), last]
    gate, c_silu = (None, None) if z is None else silu(z)
    raw = raw if delta_softplus else None
    cache = SelectiveLastCache(u, D, delta_bias, last, raw, read, y, gate, c_silu)
    return (y if z is None else y * gate), cache


def selective_scan_last_backward(dy, cache):
    """Pull dy, shape (b, e), back to every input of `selective_scan_last`, Eq. (7.12).

    delta_t acts twice: on its own input, and on the decay of every input before it.
    """
    check_floating(dict(u=cache.u, dy=dy), kinds="fc")
    check_shapes(dict(u=cache.u, dy=dy), dict(u="ble", dy="be"), sources=("u",))
    c, xp, dD = cache, array_namespace(dy), None
    dz = None if c.gate is None else silu_backward(dy * c.y, c.silu)
    dy = dy if c.gate is None else dy * c.gate
    pull = _summed_backward if isinstance(c.read, SummedCache) else _scanned_backward
    du, dstep, dA, dB, dC = pull(dy, c.read)
    dstep = _until(c.last, dstep)
    ddelta = dstep if c.raw is None else softplus_backward(dstep, c.raw)
    if c.D is not None:
        rows = xp.arange(len(c.u))
        du[rows, c.last] += dy * c.D
        dD = xp.einsum("be,be->e", dy, c.u[rows, c.last])
    dbias = None if c.delta_bias is None else ddelta.sum((0, 1))
    return SelectiveLastGrads(du, ddelta, dA, dB, dC, dD, dz, dbias)


def _summed(u, step, A, B, C, last):
    """Return C_last . h_last (b, e) as a sum over the positions, Eq. (7.11)."""
    xp = array_namespace(u)
    ahead = xp.zeros_like(step)
    ahead[:, :-1] = xp.cumsum(step[:, :0:-1], axis=1)[:, ::-1]
    mix = _mix(ahead, A, B * C[:, None], last)
    y = xp.einsum("ble,ble,ble->be", step, u, mix)
    return y, SummedCache(u, step, A, B, C, last, ahead, mix)


def _summed_backward(dy, cache):
    u, step, A, B, C, last, ahead, mix = cache
    xp = array_namespace(dy)
    q = dy[:, None] * step * u  # (b, l, e), dL/dmix
    dweight, dahead, dA = _mix_backward(q, ahead, A, B * C[:, None], last)
    dv = dy[:, None] * mix  # (b, l, e), gradient of delta_t u_t
    dstep = dv * u
    dstep[:, 1:] += xp.cumsum(dahead[:, :-1], axis=1)  # delta_t lies ahead of every earlier input
    return dv * step, dstep, dA, dweight * C[:, None], xp.einsum("bln,bln->bn", dweight, B)


def _scanned(u, step, A, B, C, last):
    """Return C_last . h_last (b, e) by the whole scan, for which a GPU has a kernel.

    A state stays as it is where delta is 0, so with delta 0 after `last` the last state is the one
    that is read, and nothing is cut, sorted or waited for. What is read along the way is not asked
    for: any C will do.
    """
    _, h, scan = selective_scan(u, step, A, B, B)
    return array_namespace(u).einsum("ben,bn->be", h, C), ScannedCache(u, C, h, scan)


def _scanned_backward(dy, cache):
    u, C, h, scan = cache
    xp = array_namespace(dy)
    grads = selective_scan_backward(xp.zeros_like(u), dy[:, :, None] * C[:, None], scan)
    return *grads[:4], xp.einsum("be,ben->bn", dy, h)


def _mix(ahead, A, weight, last):
    """Sum the states' decays exp(S_t A) with their weights B_t C_last: (b, l, e)."""
    xp = array_namespace(ahead)
    mix = xp.zeros(ahead.shape, xp.result_type(ahead, A, weight))
    decay_of = _decays(ahead, A)
    for tokens, states in _chunks(ahead, A, last):
        decay = decay_of(tokens, states)
        mix[tokens] = (weight[tokens][:, None, states] @ decay)[:, 0]
    return mix


def _mix_backward(dmix, ahead, A, weight, last):
    """Pull dmix back to the weights (b, l, n), the time ahead (b, l, e) and A (e, n)."""
    xp = array_namespace(ahead)
    dweight, dahead, dA_T = xp.zeros_like(weight), xp.zeros_like(dmix), xp.zeros_like(A.T)
    decay_of = _decays(ahead, A)
    for tokens, states in _chunks(ahead, A, last):
        decay, q = decay_of(tokens, states), dmix[tokens]
        dweight[(*tokens, states)] = (decay @ q[..., None])[..., 0]
        decay *= weight[tokens][:, states, None]
        dahead[tokens] = q * xp.einsum("kne,ne->ke", decay, A.T[states])
        dA_T[states] += xp.einsum("kne,ke->ne", decay, q * ahead[tokens])
    return dweight, dahead, dA_T.T


def _decays(ahead, A):
    """Return the function that fills one reused chunk with exp(S_t A), (tokens, states, e)."""
    xp = array_namespace(ahead)
    A_T = xp.ascontiguousarray(A.T)
    room = min(max(_numbers(ahead), A.size), ahead.size * A.shape[1])
    work = xp.empty(room, xp.result_type(ahead, A))

    def decay_of(tokens, states):
        S, A_s = ahead[tokens], A_T[states]
        chunk = work[: S.size * len(A_s)].reshape(len(S), *A_s.shape)
        return xp.exp(xp.multiply(S[:, None], A_s, out=chunk), out=chunk)

    return decay_of


def _chunks(ahead, A, last):
    """Cut the positions up to `last` into chunks; yield (row and time, states needed).

    A chunk is as many positions as fit the work array. On a GPU no state is left out: finding out
    which takes a wait.
    """
    if A.size == 0:
        return
    row, time = to_host(_seen(last, ahead.shape[1])).nonzero()
    if not on_gpu(ahead):
        yield from _by_age(ahead, A, row, time)
        return
    size = max(1, _numbers(ahead) // A.size)
    for start in range(0, len(row), size):
        chunk = slice(start, start + size)
        yield (from_host(row[chunk], ahead), from_host(time[chunk], ahead)), slice(None)


def _by_age(ahead, A, row, time):
    """Yield chunks of like age, each without the states that nothing is left of.

    exp(S A) is at most exp(-age rate); the states behind the last one for which that reaches the
    smallest normal number are left out. A NaN falls below nothing: its states stay.
    """
    xp = array_namespace(ahead)
    age = ahead.real.min(-1)[row, time]
    order = xp.argsort(age)
    rate = -A.real.max(0)  # (n,), of the slowest channel
    limit = -xp.log(xp.finfo(ahead.dtype).tiny)
    size = max(1, _numbers(ahead) // A.size)
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        youngest = xp.maximum(age[chunk[0]], 0)
        alive = xp.nonzero(~(youngest * rate > limit))[0]
        yield (row[chunk], time[chunk]), slice(0, int(alive.max(initial=-1)) + 1)


def _numbers(x):
    """Return the size of the work array."""
    return GPU_CHUNK if on_gpu(x) else CHUNK


def _seen(last, length):
    """Return (b, l): whether a position does not come after `last`; it lives where `last` does."""
    return array_namespace(last).arange(length) <= last[:, None]


def _until(last, x):
    """Return x (b, l, e) with zeros at the positions that come after `last`."""
    inside = from_host(_seen(last, x.shape[1]), x)
    xp = array_namespace(x)
    return xp.where(inside[..., None], x, xp.zeros((), x.dtype))
