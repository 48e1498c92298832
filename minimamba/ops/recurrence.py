"""The linear recurrence under every state space model, and its adjoint: h_t = a_t h_{t-1} + b_t.

Real and complex. The gradient of a complex number is that of PyTorch: dL/d(re) + i dL/d(im), so
that a factor meets the gradient conjugated, Eq. (3.5). Time is axis 1; to run it from the end,
pass views reversed along that axis and reverse the result.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops._checks import check_floating, overflow_is_inf
from minimamba.ops.schedules import (
    WorkAndDepth,
    blelloch,
    chunked,
    combine,
    hillis_steele,
    identity,
    sequential,
    work_and_depth,
)

__all__ = [
    "RecurrenceCache",
    "WorkAndDepth",
    "blelloch",
    "chunked",
    "combine",
    "hillis_steele",
    "identity",
    "recurrence",
    "recurrence_backward",
    "recurrence_step",
    "sequential",
    "work_and_depth",
]


class RecurrenceCache(NamedTuple):
    """What `recurrence_backward` needs."""

    a: Array  # (b, l, ...)
    h0: Array  # (b, ...)
    h: Array  # (b, l, ...)


def recurrence(a, b, h0, schedule=sequential):
    """Run h_t = a_t h_{t-1} + b_t over axis 1, Eq. (3.1).

    Parameters
    ----------
    a, b : array, shape (b, l, ...)
        Decay and drive of every step, real or complex.
    h0 : array, shape (b, ...)
        State before the first step; pass the last state of one segment to continue it.
    schedule : callable
        In which order to work: `sequential`, `hillis_steele`, `blelloch`, or `chunked(k)`.

    Returns
    -------
    h : array, shape (b, l, ...)
        State after every step; inf where |a| > 1 made it overflow.
    cache : RecurrenceCache

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    TypeError
        If the arrays are not floating or complex, or not of one dtype.

    See Also
    --------
    recurrence_backward, recurrence_step, work_and_depth

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.full((1, 3), 0.5), np.ones((1, 3))
    >>> recurrence(a, b, h0=np.zeros(1))[0]
    array([[1.  , 1.5 , 1.75]])
    """
    check_floating({"a": a, "b": b, "h0": h0}, kinds="fc")
    _check(a, b, h0)
    with overflow_is_inf(array_namespace(a, b, h0)):
        h = schedule(a, b, h0)
    return h, RecurrenceCache(a, h0, h)


def recurrence_backward(dh, cache, schedule=sequential):
    """Pull dh back: the same recurrence, run from the end, Eqs. (3.3) to (3.5).

    Parameters
    ----------
    dh : array, shape (b, l, ...)
        Gradient of every state.
    cache : RecurrenceCache
    schedule : callable
        Any schedule serves, whichever the forward took: the adjoint is a recurrence too.

    Returns
    -------
    da, db : array, shape (b, l, ...)
    dh0 : array, shape (b, ...)

    Raises
    ------
    ValueError, TypeError
        If dh has another shape or dtype than the states.

    Examples
    --------
    >>> import numpy as np
    >>> h, cache = recurrence(np.full((1, 3), 0.5), np.ones((1, 3)), np.zeros(1))
    >>> da, db, dh0 = recurrence_backward(np.array([[0.0, 0.0, 1.0]]), cache)
    >>> da, db, dh0                                 # the last state alone is read
    (array([[0. , 0.5, 1.5]]), array([[0.25, 0.5 , 1.  ]]), array([0.125]))
    """
    a, h0, h = cache
    check_floating({"h": h, "dh": dh}, kinds="fc")
    if dh.shape != h.shape:
        raise ValueError(f"dh has shape {dh.shape}, expected that of the states, {h.shape}")
    xp = array_namespace(dh, a)
    a = a.conj()
    later = xp.concatenate([a[:, 1:], xp.ones_like(a[:, :1])], axis=1)[:, : a.shape[1]]
    with overflow_is_inf(xp):
        g = schedule(later[:, ::-1], dh[:, ::-1], xp.zeros_like(h0))[:, ::-1]  # Eq. (3.3)
        before = xp.concatenate([h0[:, None], h], axis=1)[:, : h.shape[1]]
        da = g * before.conj()  # Eq. (3.4)
        dh0 = (a[:, :1] * g[:, :1]).sum(axis=1)  # the one term there is, or none if l = 0
    return da, g, dh0


def recurrence_step(a_t, b_t, h):
    """Return the state after one more step, Eq. (3.1); output and state are the same thing.

    Parameters
    ----------
    a_t, b_t, h : array, shape (b, ...)
        Decay and drive of this step, and the state before it.

    Returns
    -------
    h : array, shape (b, ...)

    Examples
    --------
    >>> import numpy as np
    >>> recurrence_step(np.array([0.5]), np.array([1.0]), np.array([1.5]))
    array([1.75])
    """
    return a_t * h + b_t


def _check(a, b, h0):
    if b.ndim < 2:
        raise ValueError(f"b has shape {b.shape}, expected (b, l, ...): a batch and a time axis")
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape}, expected that of b, {b.shape}")
    state = b.shape[:1] + b.shape[2:]
    if h0.shape != state:
        raise ValueError(f"h0 has shape {h0.shape}, expected {state} to fit b {b.shape}")
