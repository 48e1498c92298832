"""The selective scan by its definition, as tutorial 07 derives it: forward, backward and one token.

Made of `recurrence`, so it takes any of its schedules, on any array library. It holds every state,
(b, l, e, n); `selective_scan` gives the same numbers without, and is held to this.

Reference: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
arXiv:2312.00752, Algorithm 2. Like its released code, B is discretized as delta B, Eq. (2.7).
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops._checks import check_floating, check_shapes, overflow_is_inf
from minimamba.ops.elementwise import SiluCache, silu, silu_backward, softplus, softplus_backward
from minimamba.ops.recurrence import (
    RecurrenceCache,
    recurrence,
    recurrence_backward,
    recurrence_step,
    sequential,
)

AXES = {
    "u": "ble", "delta": "ble", "A": "en", "B": "bln", "C": "bln",
    "D": "e", "z": "ble", "delta_bias": "e", "h0": "ben",
}  # fmt: skip
STEP_AXES = {
    "u_t": "be", "delta_t": "be", "A": "en", "B_t": "bn", "C_t": "bn", "state": "ben",
    "D": "e", "z_t": "be", "delta_bias": "e",
}  # fmt: skip


class SelectiveScanInputs(NamedTuple):
    """The arrays that a selective scan reads, but for h0; absent options are None."""

    u: Array  # (b, l, e)
    delta: Array  # (b, l, e)
    A: Array  # (e, n)
    B: Array  # (b, l, n)
    C: Array  # (b, l, n)
    D: Array | None  # (e,)
    z: Array | None  # (b, l, e)
    delta_bias: Array | None  # (e,)


class SelectiveScanGrads(NamedTuple):
    """Gradients of the inputs of a selective scan; None where the input was None."""

    u: Array  # (b, l, e)
    delta: Array  # (b, l, e)
    A: Array  # (e, n)
    B: Array  # (b, l, n)
    C: Array  # (b, l, n)
    D: Array | None  # (e,)
    z: Array | None  # (b, l, e)
    delta_bias: Array | None  # (e,)
    h0: Array | None  # (b, e, n)


class SelectiveNaiveCache(NamedTuple):
    """What `selective_scan_naive_backward` needs."""

    inputs: SelectiveScanInputs
    h0: Array | None  # (b, e, n)
    raw: Array | None  # (b, l, e), what softplus was taken of; None without softplus
    step: Array  # (b, l, e), Eq. (7.1)
    states: RecurrenceCache  # of (b, l, e, n), Eq. (7.3)
    s: Array  # (b, l, e), before the gate, Eq. (7.4)
    gate: Array | None  # (b, l, e)
    silu: SiluCache | None


def selective_scan_naive(
    u,
    delta,
    A,
    B,
    C,
    D=None,
    z=None,
    delta_bias=None,
    delta_softplus=False,
    h0=None,
    schedule=sequential,
):
    """Run the selective state space over whole sequences, Eqs. (7.1) to (7.5).

    Arguments and results are those of `selective_scan`; `schedule` is one of `recurrence`.

    Examples
    --------
    >>> u = np.ones((1, 3, 1))
    >>> y, h_last, cache = selective_scan_naive(u, u, np.zeros((1, 1)), u, u)    # A = 0: a sum
    >>> y[0, :, 0], h_last[0, 0]
    (array([1., 2., 3.]), array([3.]))
    """
    x = SelectiveScanInputs(u, delta, A, B, C, D, z, delta_bias)
    check_inputs(x, h0)
    xp = array_namespace(u)
    raw = delta if delta_bias is None else delta + delta_bias
    step = softplus(raw)[0] if delta_softplus else raw  # Eq. (7.1)
    start = xp.zeros((len(u), *A.shape), u.dtype) if h0 is None else h0
    with overflow_is_inf(xp):
        a = xp.exp(step[..., None] * A)  # Eq. (7.2)
        b = (step * u)[..., None] * B[:, :, None]
        h, states = recurrence(a, b, start, schedule)  # Eq. (7.3)
        s = xp.einsum("blen,bln->ble", h, C)  # Eq. (7.4)
        s = s if D is None else s + D * u
        gate, c_silu = (None, None) if z is None else silu(z)
        y = s if z is None else s * gate  # Eq. (7.5)
    h_last = h[:, -1] if u.shape[1] else start
    raw = raw if delta_softplus else None
    return y, h_last, SelectiveNaiveCache(x, h0, raw, step, states, s, gate, c_silu)


def selective_scan_naive_backward(dy, dh_last, cache, schedule=sequential):
    """Pull dy and dh_last back through `selective_scan_naive`, Eqs. (7.6) to (7.10).

    Arguments and results are those of `selective_scan_backward`; any schedule serves, whichever
    the forward took.

    Examples
    --------
    >>> u = np.ones((1, 3, 1))
    >>> y, h_last, cache = selective_scan_naive(u, u, np.zeros((1, 1)), u, u)
    >>> selective_scan_naive_backward(np.ones_like(y), None, cache).u[0, :, 0]  # later reads
    array([3., 2., 1.])
    """
    x, h0, raw, step, states, s, gate, c_silu = cache
    xp = array_namespace(dy)
    check_cotangents(dy, dh_last, x)
    with overflow_is_inf(xp):
        ds = dy if gate is None else dy * gate  # Eq. (7.5)
        dz = None if gate is None else silu_backward(dy * s, c_silu)  # Eq. (7.10)
        dD = None if x.D is None else xp.einsum("ble,ble->e", ds, x.u)
        dC = xp.einsum("blen,ble->bln", states.h, ds)  # Eq. (7.7)
        dh = ds[..., None] * x.C[:, :, None]  # Eq. (7.6), without what later states send back
        if dh_last is not None:
            dh[:, -1:] += dh_last[:, None]
        da, db, dh0 = recurrence_backward(dh, states, schedule)  # db is g
        dB = xp.einsum("blen,ble->bln", db, step * x.u)  # Eq. (7.7)
        dv = xp.einsum("blen,bln->ble", db, x.B)  # v = step u
        dexponent = da * states.a  # a = exp(step A)
        dstep = xp.einsum("blen,en->ble", dexponent, x.A) + dv * x.u  # Eq. (7.8)
        dA = xp.einsum("blen,ble->en", dexponent, step)  # Eq. (7.9)
        du = dv * step if x.D is None else dv * step + x.D * ds  # Eq. (7.10)
        ddelta = dstep if raw is None else softplus_backward(dstep, raw)
        dbias = None if x.delta_bias is None else ddelta.sum(axis=(0, 1))
    if not x.u.shape[1] and dh_last is not None:
        dh0 = dh_last  # after no step the last state is the first
    dh0 = None if h0 is None else dh0
    return SelectiveScanGrads(du, ddelta, dA, dB, dC, dD, dz, dbias, dh0)


def selective_scan_step(
    u_t, delta_t, A, B_t, C_t, state, D=None, z_t=None, delta_bias=None, delta_softplus=False
):
    """Advance the state by one token, Eqs. (7.1) to (7.5).

    Official: mamba_ssm selective_state_update(state, x, dt, A, B, C, D, z, dt_bias, dt_softplus),
    which changes the state in place and returns y.

    Parameters
    ----------
    u_t, delta_t : array, shape (b, e)
    A : array, shape (e, n)
    B_t, C_t : array, shape (b, n)
    state : array, shape (b, e, n)
        State before the token; it is not changed.
    D, delta_bias : array, shape (e,), optional
    z_t : array, shape (b, e), optional
    delta_softplus : bool

    Returns
    -------
    y : array, shape (b, e)
    state : array, shape (b, e, n)

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> y, state = selective_scan_step(one, one, -one, one, one, state=np.ones((1, 1, 1)))
    >>> y                                                         # exp(-1) * 1 + 1 * 1 * 1
    array([[1.36787944]])
    """
    xp = array_namespace(u_t)
    given = dict(u_t=u_t, delta_t=delta_t, A=A, B_t=B_t, C_t=C_t, state=state)
    given |= dict(D=D, z_t=z_t, delta_bias=delta_bias)
    check_floating(given, kinds="fc")
    check_shapes(given, STEP_AXES, sources=("u_t", "A"))
    raw = delta_t if delta_bias is None else delta_t + delta_bias
    step = softplus(raw)[0] if delta_softplus else raw  # Eq. (7.1)
    with overflow_is_inf(xp):
        a = xp.exp(step[..., None] * A)  # Eq. (7.2)
        b = (step * u_t)[..., None] * B_t[:, None]
        state = recurrence_step(a, b, state)  # Eq. (7.3)
        s = xp.einsum("ben,bn->be", state, C_t)  # Eq. (7.4)
        s = s if D is None else s + D * u_t
        return (s if z_t is None else s * silu(z_t)[0]), state  # Eq. (7.5)


def check_inputs(x, h0):
    """Refuse inputs of a selective scan that do not fit together."""
    given = x._asdict() | dict(h0=h0)
    check_floating(given, kinds="fc")
    check_shapes(given, AXES, sources=("u", "A"))


def check_cotangents(dy, dh_last, x):
    """Refuse cotangents of a selective scan that do not fit its inputs."""
    check_floating(dict(u=x.u, dy=dy, dh_last=dh_last))
    given = dict(u=x.u, A=x.A, dy=dy, dh_last=dh_last)
    check_shapes(given, dict(u="ble", A="en", dy="ble", dh_last="ben"), sources=("u", "A"))
