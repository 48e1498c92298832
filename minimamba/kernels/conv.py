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

TILE = 128  # STEPS * WARPS of causal_conv.cu
MOST_TAPS = 32  # they live in registers


class KernelCache(NamedTuple):
    """What `backward` needs: the inputs themselves; nothing is padded or copied."""

    x: Array  # (b, l, e)
    p: ConvParams
    state: Array | None  # (b, k - 1, e)


def forward(x, p, state=None):
    """Convolve each channel with its own taps, Eq. (5.7); like `causal_conv1d`.

    More than 32 taps, or an empty x, go to the array code; of bfloat16, 32 are the most.
    """
    y, after, cache = _forward(as_bits(x), p, as_bits(state))
    return *as_given((y, after), x), cache


def _forward(x, p, state):
    xp, (b, l, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    if k > MOST_TAPS and x.dtype == np.uint16:
        raise ValueError(f"causal_conv1d: {k} taps, expected at most {MOST_TAPS} for bfloat16")
    if k > MOST_TAPS or x.size == 0:
        check_types("x", x, state=state)
        with using(enabled=False):
            return causal_conv1d(x, p, state)
    x, p, state = _ready(x, p, state)
    y, after = xp.empty_like(x), xp.empty((b, k - 1, e), x.dtype)
    args = (x, *p, state, y, after, np.int32(e), np.int32(l))
    _launch("causal_conv_forward", x, k, (-(-e // 32) * b, -(-l // TILE)), args)
    return y, after, KernelCache(x, p, state)


def backward(dy, dstate, cache):
    """Pull dy and dstate (or None) back through `forward` to (dx, dp, dstate0), Eq. (5.8)."""
    return as_given(_backward(as_bits(dy), as_bits(dstate), cache), dy)


def _backward(dy, dstate, cache):
    x, p, state = cache
    xp, (b, l, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    check_types("x", x, dy=dy, dstate=dstate)
    _check_shapes(dy=(dy, x.shape), dstate=(dstate, (b, k - 1, e)))
    dy, dstate = as_pointer(dy, xp), as_pointer(dstate, xp)
    tiles = -(-(l + k - 1) // TILE)
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
    x, p, state = _ready(x[:, None], p, state)
    xp, (b, _, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    y, after = xp.empty((b, e), x.dtype), xp.empty_like(state)
    args = (x, *p, state, y, after, np.int32(e), np.int32(b * e))
    if x.size:
        _launch("causal_conv_step", x, k, (-(-b * e // 128),), args)
    return y, after


def _ready(x, p, state):
    """Return x, p and state as a kernel takes them, once no kernel would read past their ends."""
    xp, (b, _, e), k = array_namespace(x), x.shape, p.weight.shape[1]
    check_types("x", x, state=state)
    _check_shapes(weight=(p.weight, (e, k)), bias=(p.bias, (e,)), state=(state, (b, k - 1, e)))
    weight, bias = (as_pointer(v, xp, np.float32) for v in p)
    return as_pointer(x, xp), ConvParams(weight, bias), as_pointer(state, xp)


def _check_shapes(**given):
    """Raise ValueError unless every array is None or of the shape beside it."""
    for name, (x, shape) in given.items():
        if x is not None and x.shape != shape:
            raise ValueError(f"causal_conv1d: {name} is {x.shape}, expected {shape}")


def _launch(name, x, k, grid, args):
    half = ("-DIO_BF16",) if x.dtype == np.uint16 else ()
    module = load(("common.cu", "causal_conv.cu"), (f"-DTAPS={k}", *half))
    module.get_function(name)(grid, (128,), args)
