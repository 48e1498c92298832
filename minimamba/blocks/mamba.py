"""The Mamba block: project, convolve, select, scan, gate, project back."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops.conv import (
    ConvCache,
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
    causal_conv1d_step,
)
from minimamba.ops.elementwise import SiluCache, silu, silu_backward
from minimamba.ops.linear import LinearCache, LinearParams, linear, linear_backward
from minimamba.ops.selective.naive import selective_scan_step
from minimamba.ops.selective.scan import (
    SelectiveScanCache,
    selective_scan,
    selective_scan_backward,
)


class MambaParams(NamedTuple):
    """Weights of one Mamba block, under the official names."""

    in_proj: LinearParams  # (d, 2e)
    conv1d: ConvParams  # (e, k)
    x_proj: LinearParams  # (e, r + 2n)
    dt_proj: LinearParams  # (r, e), with bias
    A_log: Array  # (e, n), A = -exp(A_log)
    D: Array  # (e,)
    out_proj: LinearParams  # (e, d)


class MambaState(NamedTuple):
    """What one block remembers between calls: as much after a million steps as after one."""

    conv: Array  # (b, k-1, e), the last inputs of the convolution
    scan: Array  # (b, e, n), the state h


class MambaCache(NamedTuple):
    """What `mamba_backward` needs."""

    in_proj: LinearCache
    conv1d: ConvCache  # or that of its kernel
    silu: SiluCache
    x_proj: LinearCache
    dt_proj: LinearCache
    A: Array  # (e, n)
    scan: SelectiveScanCache  # or that of its kernel
    out_proj: LinearCache


def mamba(x, p, state=None):
    """Run the Mamba block over a sequence, Eq. (7.13).

    Parameters
    ----------
    x : array, shape (b, l, d)
    p : MambaParams
    state : MambaState, optional
        Where an earlier chunk ended; nothing before the first step if left out.

    Returns
    -------
    y : array, shape (b, l, d)
    state : MambaState
        Pass it to continue, with another chunk or with `mamba_step`.
    cache : MambaCache

    Notes
    -----
    Source: Gu and Dao, arXiv 2312.00752, section 3.4 and figure 3, with the arithmetic of the
    released block: exp(delta A) for the state and delta B for the input, not zero-order hold.
    Official: mamba_ssm.modules.mamba_simple.Mamba and transformers MambaMixer, (b, l, d) as here;
    their Linear weights are transposed, conv1d.weight is (e, 1, k), a cached state (b, e, k or n).

    Examples
    --------
    >>> from minimamba.blocks.init import init_mamba
    >>> p = init_mamba(np.random.default_rng(0), width=4, state=2)
    >>> x = np.ones((1, 5, 4))
    >>> y, _, _ = mamba(x, p)
    >>> _, middle, _ = mamba(x[:, :3], p)
    >>> rest, _, _ = mamba(x[:, 3:], p, middle)
    >>> bool(np.allclose(y[:, 3:], rest, rtol=0, atol=1e-15))
    True
    """
    xp = array_namespace(x)
    conv_state, h0 = (None, None) if state is None else state
    uz, c_in = linear(x, p.in_proj)
    u, z = _halves(uz)
    u, conv_state, c_conv = causal_conv1d(u, p.conv1d, conv_state)
    v, c_silu = silu(u)
    selected, c_x = linear(v, p.x_proj)
    low, B, C = split_selected(selected, p)
    delta, c_dt = linear(low, p.dt_proj)
    A = -xp.exp(p.A_log)
    y, h_last, c_scan = selective_scan(v, delta, A, B, C, p.D, z, delta_softplus=True, h0=h0)
    out, c_out = linear(y, p.out_proj)
    cache = MambaCache(c_in, c_conv, c_silu, c_x, c_dt, A, c_scan, c_out)
    return out, MambaState(conv_state, h_last), cache


def mamba_backward(dy, dstate, cache):
    """Pull dy and the gradient of the last state back, Eq. (7.14).

    Parameters
    ----------
    dy : array, shape (b, l, d)
    dstate : MambaState or None
        Gradient of the returned state; None where nothing reads it.

    Returns
    -------
    dx : array, shape (b, l, d)
    dp : MambaParams
    dstate0 : MambaState
        Gradient of the state that was passed in.

    Examples
    --------
    >>> from minimamba.blocks.init import init_mamba
    >>> p = init_mamba(np.random.default_rng(0), width=4, state=2)
    >>> y, _, cache = mamba(np.ones((1, 5, 4)), p)
    >>> dx, dp, _ = mamba_backward(np.ones_like(y), None, cache)
    >>> dx.shape, type(dp).__name__, dp.A_log.shape
    ((1, 5, 4), 'MambaParams', (8, 2))
    """
    xp, c = array_namespace(dy), cache
    dconv, dh = (None, None) if dstate is None else dstate
    dy, out_proj = linear_backward(dy, c.out_proj)
    g = selective_scan_backward(dy, dh, c.scan)
    dlow, dt_proj = linear_backward(g.delta, c.dt_proj)
    dv, x_proj = linear_backward(xp.concatenate([dlow, g.B, g.C], axis=-1), c.x_proj)
    du = silu_backward(g.u + dv, c.silu)
    du, conv1d, dconv0 = causal_conv1d_backward(du, dconv, c.conv1d)
    dx, in_proj = linear_backward(xp.concatenate([du, g.z], axis=-1), c.in_proj)
    dp = MambaParams(in_proj, conv1d, x_proj, dt_proj, g.A * c.A, g.D, out_proj)
    return dx, dp, MambaState(dconv0, g.h0)


def mamba_step(x_t, p, state):
    """Take one step of the block: `mamba` on a sequence of length one, Eq. (7.15).

    Official: Mamba.step of mamba_ssm, x (b, 1, d), conv state (b, e, k) with the newest input in.

    Parameters
    ----------
    x_t : array, shape (b, d)
    p : MambaParams
    state : MambaState

    Returns
    -------
    y_t : array, shape (b, d)
    state : MambaState

    Examples
    --------
    >>> from minimamba.blocks.init import init_mamba
    >>> p = init_mamba(np.random.default_rng(0), width=4, state=2)
    >>> x = np.ones((1, 2, 4))
    >>> y, _, _ = mamba(x, p)
    >>> first, state = mamba_step(x[:, 0], p, zero_state(1, p))
    >>> second, state = mamba_step(x[:, 1], p, state)
    >>> bool(np.allclose(y[:, 1], second, rtol=0, atol=1e-15))
    True
    """
    xp = array_namespace(x_t)
    u, z = _halves(linear(x_t, p.in_proj)[0])
    u, conv_state = causal_conv1d_step(u, p.conv1d, state.conv)
    v, _ = silu(u)
    low, B, C = split_selected(linear(v, p.x_proj)[0], p)
    delta, _ = linear(low, p.dt_proj)
    A = -xp.exp(p.A_log)
    y, h = selective_scan_step(v, delta, A, B, C, state.scan, p.D, z, delta_softplus=True)
    return linear(y, p.out_proj)[0], MambaState(conv_state, h)


def zero_state(b, p):
    """Return the state before the first step for a batch of b, in the parameters' dtype."""
    xp = array_namespace(p.A_log)
    (e, n), k = p.A_log.shape, p.conv1d.weight.shape[1]
    return MambaState(xp.zeros((b, k - 1, e), p.A_log.dtype), xp.zeros((b, e, n), p.A_log.dtype))


def split_selected(selected, p):
    """Cut the output of x_proj into the low-rank delta (..., r), B (..., n) and C (..., n)."""
    r, n = p.dt_proj.weight.shape[0], p.A_log.shape[1]
    return selected[..., :r], selected[..., r : r + n], selected[..., r + n :]


def _halves(uz):
    e = uz.shape[-1] // 2
    return uz[..., :e], uz[..., e:]
