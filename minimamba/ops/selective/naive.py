"""The selective scan by its definition: one token, and a loop over tokens.

Generation uses the step; everything else is held to the loop.
"""

from minimamba.arrays import array_namespace
from minimamba.ops._checks import check_floating, check_shapes, overflow_is_inf
from minimamba.ops.elementwise import silu, softplus

AXES = {
    "u_t": "be",
    "delta_t": "be",
    "A": "en",
    "B_t": "bn",
    "C_t": "bn",
    "state": "ben",
    "D": "e",
    "z_t": "be",
    "delta_bias": "e",
}


def selective_scan_step(
    u_t, delta_t, A, B_t, C_t, state, D=None, z_t=None, delta_bias=None, delta_softplus=False
):
    """Advance the state by one token, Eqs. (7.1) to (7.5).

    Parameters
    ----------
    u_t, delta_t : array, shape (b, e)
        Input and step size; delta may be negative (then the state grows where A < 0).
    A : array, shape (e, n)
        Continuous-time decay rates, negative in a stable system.
    B_t, C_t : array, shape (b, n)
        What is written to the state and what is read from it.
    state : array, shape (b, e, n)
        State before the token; it is not changed.
    D, delta_bias : array, shape (e,), optional
        Skip connection; bias added to delta_t.
    z_t : array, shape (b, e), optional
        Gate: the output is multiplied by silu(z_t).
    delta_softplus : bool
        Whether the step size is softplus(delta_t + delta_bias).

    Returns
    -------
    y : array, shape (b, e)
    state : array, shape (b, e, n)

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit the others, or a dtype is not the real floating one of the others.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> y, state = selective_scan_step(one, one, -one, one, one, state=np.ones((1, 1, 1)))
    >>> y                                                         # exp(-1) * 1 + 1 * 1 * 1
    array([[1.36787944]])
    """
    xp = array_namespace(u_t)
    arrays = dict(u_t=u_t, delta_t=delta_t, A=A, B_t=B_t, C_t=C_t, state=state)
    arrays |= dict(D=D, z_t=z_t, delta_bias=delta_bias)
    check_floating(arrays, kinds="fc")
    check_shapes(arrays, AXES, sources=("u_t", "A"))

    step = delta_t if delta_bias is None else delta_t + delta_bias  # (b, e)
    if delta_softplus:
        step = softplus(step)[0]
    with overflow_is_inf(xp):
        a = xp.exp(step[:, :, None] * A)  # (b, e, n)
        state = a * state + (step * u_t)[:, :, None] * B_t[:, None, :]
        y = xp.einsum("ben,bn->be", state, C_t)
    if D is not None:
        y = y + D * u_t
    return (y if z_t is None else y * silu(z_t)[0]), state


def selective_scan_naive(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, h0=None
):
    """Return (y, h_last) by the definition: one step after the other, Eqs. (7.1) to (7.5).

    The arguments are those of `selective_scan`, which is what to use; this is what it is held to.

    Examples
    --------
    >>> import numpy as np
    >>> u = np.ones((1, 3, 1))
    >>> y, h_last = selective_scan_naive(u, u, np.zeros((1, 1)), u, u)      # A = 0: a running sum
    >>> y[0, :, 0], h_last[0, 0]
    (array([1., 2., 3.]), array([3.]))
    """
    xp = array_namespace(u)
    y = xp.empty_like(u)
    state = xp.zeros((u.shape[0], *A.shape), u.dtype) if h0 is None else h0
    for t in range(u.shape[1]):
        z_t = None if z is None else z[:, t]
        y[:, t], state = selective_scan_step(
            u[:, t], delta[:, t], A, B[:, t], C[:, t], state, D, z_t, delta_bias, delta_softplus
        )
    return y, state
