"""Callables to point the oracle at: a right one, and one for every way of not being right.

`minimamba oracle tests.oracle.examples:good` exits with 0, `...:wrong_group_order` with 1.
"""

import time

import numpy as np


def _channels(x, d, tile=False):
    """Return B or C as (b or 1, d, n, l or 1); group i serves channels [i d/g, (i+1) d/g)."""
    if x.ndim == 2:
        return x[None, :, :, None]
    x = x[:, None] if x.ndim == 3 else x
    times = d // x.shape[1]
    return np.tile(x, (1, times, 1, 1)) if tile else np.repeat(x, times, axis=1)


def _pairs(x):
    """Return complex numbers of (re, im) interleaved on the last axis."""
    return x[..., 0::2] + 1j * x[..., 1::2]


def good(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
    initial_state=None, tile=False,
):  # fmt: skip
    """A plain selective scan in mamba_ssm's layout, everything supported."""
    is_complex = np.iscomplexobj(A)
    B, C = (_pairs(x) if is_complex and x.ndim > 2 else x for x in (B, C))
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    if delta_softplus:
        step = np.maximum(step, 0) + np.log1p(np.exp(-np.abs(step)))
    b, d, l = u.shape
    h = np.zeros((b, *A.shape), A.dtype) if initial_state is None else initial_state
    B, C = (np.broadcast_to(_channels(x, d, tile), (b, *A.shape, l)) for x in (B, C))
    y = np.empty_like(u)
    for t in range(l):
        drive = (step[..., t] * u[..., t])[..., None] * B[..., t]
        h = np.exp(step[..., t, None] * A) * h + drive
        out = h * C[..., t]
        y[..., t] = 2 * out.real.sum(2) if is_complex else out.sum(2)
    if D is not None:
        y = y + D[:, None] * u
    if z is not None:
        small = np.exp(-np.abs(z))
        y = y * z * np.where(z > 0, 1, small) / (1 + small)
    return y, h


def wrong_group_order(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, initial_state=None
):
    """Groups laid out by tiling instead of one after the other, as llama.cpp once had it."""
    return good(u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, tile=True)


def raises(u, delta, A, B, C):
    raise RuntimeError("no kernel image is available")


def hangs(u, delta, A, B, C):
    while True:
        time.sleep(0.1)


def wrong_shape(u, delta, A, B, C):
    return good(u, delta, A, B, C)[0].swapaxes(1, 2)


def wrong_dtype(u, delta, A, B, C):
    return good(u, delta, A, B, C)[0].astype(np.float64)


def not_a_number(u, delta, A, B, C):
    return good(u, delta, A, B, C)[0] * np.nan


def nothing(u, delta, A, B, C):
    good(u, delta, A, B, C)


def writes_into_u(u, delta, A, B, C):
    out, last = good(u, delta, A, B, C)
    u *= 2
    return out, last


def dies(u, delta, A, B, C):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def leaves(u, delta, A, B, C):
    """Ends the process with the status that means right, as a library in C may."""
    import os

    os._exit(0)


def real_only(u, delta, A, B, C, D=None):
    """A right scan of real numbers, which takes complex ones without a word of refusal."""
    h, out = np.zeros((*u.shape[:2], A.shape[1]), np.result_type(A, u)), np.empty_like(u)
    for t in range(u.shape[2]):
        drive = (delta[..., t] * u[..., t])[..., None] * B[:, None, :, t]
        h = np.exp(delta[..., t, None] * A) * h + drive
        out[..., t] = (h * C[:, None, :, t]).sum(2).astype(u.dtype)
    return out if D is None else out + D[:, None] * u


def model(input_ids, p, state=None):
    """A right language model, by name: `--op mamba_lm`."""
    from .mutants.kill import RIGHT

    logits, states, _ = RIGHT.mamba_lm(input_ids, p, state)
    return logits, states
