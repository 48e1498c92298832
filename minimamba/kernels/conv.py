"""Launches the causal convolution of `causal_conv.cu`: forward, backward, step.

float32; or bfloat16 (see `bfloat16`) for x, y, the state and their gradients.
"""

from typing import NamedTuple

import numpy as np

from minimamba.arrays import Array, array_namespace
from minimamba.dispatch import using
from minimamba.kernels.bfloat16 import as_bits, as_given, check_types
from minimamba.kernels.compile import as_pointer, load
from minimamba.ops.conv import ConvParams, causal_conv1d

BLOCK_STEPS = 128  # STEPS * WARPS of causal_conv.cu
MOST_TAPS = 32  # they live in registers


class KernelCache(NamedTuple):
    """What `backward` needs: the inputs themselves; nothing is padded or copied."""

    x: Array  # (b, l, e)
    state: Array | None  # (b, k - 1, e)
    p: ConvParams


def forward(x, p, state=None):
    """Convolve each channel with its own taps, Eq. (5.7); like `causal_conv1d`.

    More than 32 taps, or an empty x, go to the array code; of bfloat16, 32 are the most.

    Returns
    -------
    y : array, shape (b, l, e)
    state : array, shape (b, k - 1, e)
    cache : KernelCache or ConvCache
    """
    y, after, cache = _forward(as_bits(x), p, as_bits(state))
    return *as_given((y, after), x), cache


def _forward(x, p, state):
    xp, (b, l, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    check_types("x", x, state=state)
    if k > MOST_TAPS and x.dtype == np.uint16:
        raise ValueError(f"causal_conv1d: {k} taps, expected at most {MOST_TAPS} for bfloat16")
    if k > MOST_TAPS or x.size == 0:
        with using(enabled=False):
            return causal_conv1d(x, p, state)
    check(x, p, state)
    x, state = as_pointer(x, xp), as_pointer(state, xp, x.dtype)
    weight, bias = as_pointer(p.weight, xp, np.float32), as_pointer(p.bias, xp, np.float32)
    y, next_state = xp.empty_like(x), xp.empty((b, k - 1, e), x.dtype)
    args = (x, weight, bias, state, y, next_state, np.int32(e), np.int32(l))
    _launch("causal_conv_forward", x, k, (-(-e // 32) * b, -(-l // BLOCK_STEPS)), args)
    return y, next_state, KernelCache(x, state, ConvParams(weight, bias))


def backward(dy, dstate, cache):
    """Pull dy and dstate (or None) back through `forward`, Eq. (5.8).

    Returns
    -------
    dx : array, shape (b, l, e)
    dp : ConvParams
    dstate0 : array, shape (b, k - 1, e)
    """
    return as_given(_backward(as_bits(dy), as_bits(dstate), cache), dy)


def _backward(dy, dstate, cache):
    x, state, p = cache
    check_types("x", x, dy=dy, dstate=dstate)
    xp, (b, l, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    check_shape("dy", dy, x.shape)
    check_shape("dstate", dstate, (b, k - 1, e))
    dy, dstate = as_pointer(dy, xp, x.dtype), as_pointer(dstate, xp, x.dtype)
    tiles = -(-(l + k - 1) // BLOCK_STEPS)
    dx, dstate0 = xp.empty_like(x), xp.empty((b, k - 1, e), x.dtype)
    share = xp.empty((b * tiles, e, k + 1), np.float32)
    args = (dy, x, p.weight, state, dstate, dx, dstate0, share, np.int32(e), np.int32(l))
    _launch("causal_conv_backward", x, k, (-(-e // 32) * b, tiles), args)
    total = share.sum(axis=0)
    dbias = None if p.bias is None else total[:, k]
    return dx, ConvParams(xp.ascontiguousarray(total[:, :k]), dbias), dstate0


def step(x, p, state):
    """Take one step of `forward`, Eq. (5.9): x (b, e) to y (b, e) and the next state."""
    return as_given(_step(as_bits(x), p, as_bits(state)), x)


def _step(x, p, state):
    xp, (b, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    check(x[:, None], p, state)
    check_types("x", x, state=state)
    x, state = as_pointer(x, xp), as_pointer(state, xp, x.dtype)
    weight, bias = as_pointer(p.weight, xp, np.float32), as_pointer(p.bias, xp, np.float32)
    y, next_state = xp.empty_like(x), xp.empty_like(state)
    args = (x, weight, bias, state, y, next_state, np.int32(e), np.int32(b * e))
    if x.size:
        _launch("causal_conv_step", x, k, (-(-b * e // 128),), args)
    return y, next_state


def check(x, p, state):
    """Raise ValueError where a kernel would read past the end of an array.

    Examples
    --------
    >>> p = ConvParams(np.ones((3, 4)), None)
    >>> check(np.ones((1, 5, 2)), p, None)
    Traceback (most recent call last):
    ValueError: causal_conv1d: x has 2 channels, the weight 3
    """
    (b, _, e), (channels, k) = x.shape, p.weight.shape
    if channels != e:
        raise ValueError(f"causal_conv1d: x has {e} channels, the weight {channels}")
    check_shape("bias", p.bias, (e,))
    check_shape("state", state, (b, k - 1, e))


def check_shape(name, x, shape):
    """Raise ValueError unless x is None or of this shape."""
    if x is not None and x.shape != shape:
        raise ValueError(f"causal_conv1d: {name} is {x.shape}, expected {shape}")


def _launch(name, x, k, grid, args):
    half = ("-DIO_BF16",) if x.dtype == np.uint16 else ()
    module = load(("common.cu", "causal_conv.cu"), (f"-DTAPS={k}", *half))
    module.get_function(name)(grid, (128,), args)
