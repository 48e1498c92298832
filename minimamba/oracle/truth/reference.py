"""The oracle as a function: the right answer, called the way mamba_ssm is."""

import numpy as np

from minimamba.oracle.truth import scan
from minimamba.oracle.truth.arithmetic import exact, plain


def selective_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, initial_state=None
):
    """Return the exact selective scan, computed in extended precision and rounded once.

    Parameters
    ----------
    u, delta, z : array, shape (b, d, l)
    A : array, shape (d, n)
        Real or complex.
    B, C : array, shape (d, n), (b, n, l) or (b, g, n, l)
        For a complex A the ones with an axis of time are real, (..., 2 l), (re, im) interleaved.
    D, delta_bias : array, shape (d,), optional
    initial_state : array, shape (b, d, n), optional

    Returns
    -------
    out : array, shape (b, d, l)
        In u's dtype.
    last_state : array, shape (b, d, n)
        In A's dtype.

    Notes
    -----
    The conventions are those of `docs/oracle-contract.md`, Eq. (7.2) to (7.5).

    Examples
    --------
    >>> u = np.ones((1, 1, 3))
    >>> out, last = selective_scan(u, u, -np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    >>> out.round(4)
    array([[[1.    , 1.3679, 1.5032]]])
    """
    u, A = np.asarray(u), np.asarray(A)
    given = {"D": D, "z": _last(z), "delta_bias": delta_bias, "initial_state": initial_state}
    inputs = {k: np.asarray(v) for k, v in given.items() if v is not None}
    inputs |= {"u": _last(u), "delta": _last(delta), "A": A, "delta_softplus": bool(delta_softplus)}
    inputs |= {"B": _varying(B, A), "C": _varying(C, A)}
    res = exact(scan.selective_scan, **inputs)
    with np.errstate(over="ignore"):
        out, last = (_rounded(res[k], x.dtype) for k, x in (("out", u), ("last_state", A)))
        return np.moveaxis(out, 1, -1), last


def _rounded(x, dtype):
    return (plain(x) if x.dtype == object else x).astype(dtype)


def _last(x):
    return None if x is None else np.moveaxis(np.asarray(x), -1, 1)


def _varying(x, A):
    x = np.asarray(x)
    if x.ndim == 2:
        return x
    if np.iscomplexobj(A) and not np.iscomplexobj(x):
        x = x.reshape(*x.shape[:-1], x.shape[-1] // 2, 2)
        x = x[..., 0] + 1j * x[..., 1]
    return np.moveaxis(x, -1, 1)
