"""The fused selective scan on the GPU, for any number of states.

float32 throughout; or bfloat16 (see `bfloat16`) for u, delta, B, C, z, y and their gradients, with
A, D, delta_bias, the states and all arithmetic in float32.

More than 64 states are run in groups of 64: the output is linear in the states, so the groups'
shares of C h add up, and skip and gate come once, at the end.
"""

from typing import NamedTuple

import numpy as np

from minimamba.arrays import Array, array_namespace
from minimamba.kernels import selective_launch as narrow
from minimamba.kernels.bfloat16 import as_bits, as_given, check_types, from_bfloat16
from minimamba.ops._checks import check_shapes
from minimamba.ops.elementwise import silu, silu_backward
from minimamba.ops.selective.blocks import SelectiveScanInputs
from minimamba.ops.selective.scan import AXES, SelectiveScanGrads


class WideCache(NamedTuple):
    """What `backward` needs when the states were run in groups."""

    inputs: SelectiveScanInputs
    groups: tuple  # the cache of each group of states
    skipped: Array  # (b, l, e): the output before the gate


def forward(x, h0=None):
    """Run the selective scan on the GPU, Eqs. (7.1) to (7.5).

    Parameters
    ----------
    x : SelectiveScanInputs
        float32 arrays of one device; or bfloat16 numbers, or their bits as uint16, for u, delta, B,
        C and z.
    h0 : array, shape (b, e, n), optional

    Returns
    -------
    y : array, shape (b, l, e), of the type of u
    h_last : array, shape (b, e, n), float32
    cache : KernelCache or WideCache

    Raises
    ------
    TypeError
        If u is neither float32 nor bfloat16, or a sequence has another type than u.
    ValueError
        If a shape of a bfloat16 problem does not fit; the op looks at those of float32.

    Examples
    --------
    bfloat16 on a GPU, with nothing copied on the way in or out::

        half = lambda v: cupy.asarray(v, dtype=ml_dtypes.bfloat16)
        x = SelectiveScanInputs(half(u), half(delta), A, half(B), half(C), D, half(z), bias, True)
        y, h_last, cache = selective.forward(x)
        grads = selective.backward(half(dy), None, cache)
    """
    *results, cache = _forward(as_bits(x), h0)
    return *as_given(tuple(results), x.u), cache


def _forward(x, h0):
    if x.u.dtype not in (np.float32, np.uint16):
        raise TypeError(f"u has dtype {x.u.dtype}, the kernel takes float32 or bfloat16 bits")
    check_types("u", x.u, **{name: getattr(x, name) for name in narrow.SEQUENCES})
    if x.u.dtype == np.uint16:
        check_shapes(x._asdict() | dict(h0=h0), AXES, sources=("u", "A"))
    if x.u.size == 0:
        return _nothing(x, h0)
    if x.A.shape[1] <= narrow.MOST_STATES:
        return narrow.forward(x, h0)
    xp, wide = array_namespace(x.u), _float32(x)
    ran = [
        narrow.forward(_states(wide, group), None if h0 is None else h0[..., group])
        for group in _groups(x)
    ]
    skipped = sum(y for y, _, _ in ran)
    if x.D is not None:
        skipped = skipped + x.D * wide.u
    y = skipped if x.z is None else skipped * silu(wide.z)[0]
    h_last = xp.concatenate([h for _, h, _ in ran], axis=2)
    cache = WideCache(x, tuple(cache for _, _, cache in ran), skipped)
    return narrow.like_input(y, x.u), h_last, cache


def backward(dy, dh_last, cache):
    """Pull dy and dh_last back through `forward`, Eqs. (7.6) to (7.10).

    Parameters
    ----------
    dy : array, shape (b, l, e)
        Of the type of y.
    dh_last : array, shape (b, e, n), or None
    cache : KernelCache or WideCache

    Returns
    -------
    grads : SelectiveScanGrads
        Each of the type of its input.
    """
    return as_given(_backward(as_bits(dy), dh_last, cache), dy)


def _backward(dy, dh_last, cache):
    x = cache.inputs
    check_types("u", x.u, dy=dy)
    if dy.dtype == np.uint16:
        given = dict(u=x.u, A=x.A, dy=dy, dh_last=dh_last)
        check_shapes(given, dict(u="ble", A="en", dy="ble", dh_last="ben"), sources=("u", "A"))
    if dy.size == 0:
        return _nothing_backward(dh_last, cache)
    if isinstance(cache, WideCache):
        return _wide_backward(dy, dh_last, cache)
    return SelectiveScanGrads(*narrow.backward(dy, dh_last, cache))


def _wide_backward(dy, dh_last, cache):
    """Pull back through every group of states; skip and gate once."""
    x, wide = cache.inputs, _float32(cache.inputs)
    xp, dz = array_namespace(dy), None
    dy = from_bfloat16(dy) if dy.dtype == np.uint16 else dy
    if x.z is not None:
        gate, saved = silu(wide.z)
        dz = narrow.like_input(silu_backward(dy * cache.skipped, saved), x.z)
        dy = dy * gate
    ran = [
        narrow.backward(dy, None if dh_last is None else dh_last[..., group], part)
        for group, part in zip(_groups(x), cache.groups, strict=True)
    ]
    du, ddelta, dA, dB, dC, _, _, dbias, dh0 = zip(*ran, strict=True)
    du, ddelta, dD = sum(du), sum(ddelta), None
    if x.D is not None:
        du, dD = du + x.D * dy, (dy * wide.u).sum(axis=(0, 1))
    dbias = None if x.delta_bias is None else sum(dbias)
    dA, dB, dC = (xp.concatenate(parts, axis=-1) for parts in (dA, dB, dC))
    dh0 = None if dh0[0] is None else xp.concatenate(dh0, axis=2)
    du, ddelta, dB, dC = (narrow.like_input(v, x.u) for v in (du, ddelta, dB, dC))
    return SelectiveScanGrads(du, ddelta, dA, dB, dC, dD, dz, dbias, dh0)


def _groups(x):
    size, n = narrow.MOST_STATES, x.A.shape[1]
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def _states(x, group):
    """Return the problem of one group of states, without skip and gate."""
    return x._replace(A=x.A[:, group], B=x.B[..., group], C=x.C[..., group], D=None, z=None)


def _float32(x):
    """Return the inputs in float32."""
    wide = {
        name: from_bfloat16(v)
        for name, v in zip(x._fields, x, strict=True)
        if getattr(v, "dtype", None) == np.uint16
    }
    return x._replace(**wide)


def _nothing(x, h0):
    """Return the results for empty sequences: the state passes through."""
    xp, (b, _, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    h_last = xp.zeros((b, e, n), np.float32) if h0 is None else h0.copy()
    return xp.empty_like(x.u), h_last, narrow.KernelCache(x, h0, xp.empty((b, 0, n, e), "float32"))


def _nothing_backward(dh_last, cache):
    """Return the gradients of empty sequences: that of the state passes through."""
    x, h0, _ = cache
    xp = array_namespace(x.u)
    zeros = (None if v is None else xp.zeros_like(v) for v in (*x[:8], h0))
    grads = SelectiveScanGrads(*zeros)
    return grads if h0 is None or dh_last is None else grads._replace(h0=dh_last.copy())
