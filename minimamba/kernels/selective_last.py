"""The selective scan read at one position, on the GPU: the whole scan, stopped where it is read.

A state stays as it is where delta is 0, so with delta put to 0 after `last` the last state of the
fused scan is the one that is read, and nothing is cut, sorted or waited for.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.kernels import selective
from minimamba.ops._positions import until
from minimamba.ops.elementwise import SiluCache, silu, silu_backward, softplus, softplus_backward
from minimamba.ops.selective.last import SelectiveLastGrads
from minimamba.ops.selective.naive import SelectiveScanInputs


class KernelLastCache(NamedTuple):
    """What `backward` needs."""

    u: Array  # (b, l, e)
    C: Array  # (b, n)
    D: Array | None  # (e,)
    delta_bias: Array | None  # (e,)
    last: Array  # (b,)
    step_cache: Array | None  # (b, l, e), of softplus
    scan: selective.KernelCache | selective.GroupedCache
    h: Array  # (b, e, n), the state at `last`
    y: Array  # (b, e), before the gate
    gate: Array | None  # (b, e)
    gate_cache: SiluCache | None


def forward(u, delta, A, B, C, last, D, z, delta_bias, delta_softplus):
    """Return the output at `last`, Eq. (7.11); like `selective_scan_last`."""
    xp, raw = array_namespace(u), delta if delta_bias is None else delta + delta_bias
    step, step_cache = softplus(raw) if delta_softplus else (raw, None)
    # What the scan reads along the way is not asked for: any C will do.
    x = SelectiveScanInputs(u, until(last, step), A, B, B, None, None, None, False)
    _, h, scan = selective.forward(x)
    y = xp.einsum("ben,bn->be", h, C)
    if D is not None:
        y = y + D * u[xp.arange(len(u)), last]
    gate, gate_cache = (None, None) if z is None else silu(z)
    cache = KernelLastCache(u, C, D, delta_bias, last, step_cache, scan, h, y, gate, gate_cache)
    return (y if z is None else y * gate), cache


def backward(dy, cache):
    """Pull dy, shape (b, e), back to every input, Eq. (7.12)."""
    c, xp = cache, array_namespace(dy)
    rows = xp.arange(len(c.u))
    dz = None if c.gate is None else silu_backward(dy * c.y, c.gate_cache)
    dy = dy if c.gate is None else dy * c.gate
    dC = xp.einsum("be,ben->bn", dy, c.h)
    g = selective.backward(xp.zeros_like(c.u), dy[:, :, None] * c.C[:, None], c.scan)
    dstep, du, dD = until(c.last, g.delta), g.u, None
    ddelta = dstep if c.step_cache is None else softplus_backward(dstep, c.step_cache)
    if c.D is not None:
        du[rows, c.last] += dy * c.D
        dD = xp.einsum("be,be->e", dy, c.u[rows, c.last])
    dbias = None if c.delta_bias is None else ddelta.sum((0, 1))
    return SelectiveLastGrads(du, ddelta, g.A, g.B, dC, dD, dz, dbias)
