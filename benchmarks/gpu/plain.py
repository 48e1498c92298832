"""The convolution, the spectral filter and the ladder against float64; like `gpu_numbers`."""

import numpy as np

from benchmarks.gpu.problems import bits_or_floats, conv_problem, measure, place, wide
from minimamba.arrays import to_host
from minimamba.kernels import conv, scan
from minimamba.kernels.bfloat16 import from_bfloat16, to_bfloat16
from minimamba.ops import conv as conv_op
from minimamba.ops import recurrence as recurrence_op
from minimamba.ops import spectral
from minimamba.ops.spectral import FilterParams, spectral_filter, spectral_filter_backward
from tests.kernels.problems import BFLOAT16

RUNGS = ("serial", "hillis_steele", "blelloch", "warp", "block", "grid")
LENGTHS = (1, 2, 50, 51, 128, 129, 200)  # of the spectral filter


def convolution(shape, move):
    """The causal convolution: forward, backward, step."""
    x, p, state, dy, dstate = conv_problem(*shape)
    y, last, cache = conv_op.causal_conv1d(*wide((x, p, state)))
    dx, dp, dstate0 = conv_op.causal_conv1d_backward(*wide((dy, dstate)), cache)
    one, after = conv_op.causal_conv1d_step(*wide((x[:, 0], p, state)))
    x, p, state, dy, dstate = place(move, (x, p, state, dy, dstate))
    got, got_last, cache = conv.forward(x, p, state)
    got_dx, got_dp, got_dstate0 = conv.backward(dy, dstate, cache)
    got_one, got_after = conv.step(x[:, 0], p, state)
    terms = np.abs(to_host(dy)).sum(axis=(0, 1))
    return {
        "y": measure(got, y, 1e-6),
        "state": measure(got_last, last, 1e-6),
        "dx": measure(got_dx, dx, 1e-6),
        "dstate0": measure(got_dstate0, dstate0, 1e-6),
        "dweight": measure(got_dp.weight, dp.weight, 3e-6),  # sums over all steps
        "dbias": measure(got_dp.bias, dp.bias, 1e-6, terms),
        "step": measure(got_one, one, 1e-6),
        "state after the step": measure(got_after, after, 1e-6),
    }


def convolution_bfloat16(move):
    """The causal convolution with bfloat16 in memory."""
    x, p, state, dy, _ = conv_problem(2, 40, 33)
    x, state, dy = map(to_bfloat16, (x, state, dy))
    exact = [from_bfloat16(v) for v in (x, state, dy)]
    y, _, cache = conv_op.causal_conv1d(*wide((exact[0], p, exact[1])))
    dx, _, _ = conv_op.causal_conv1d_backward(wide(exact[2]), None, cache)
    x, p, state, dy = place(move, (x, p, state, dy))
    got, _, cache = conv.forward(x, p, state)
    got_dx = conv.backward(dy, None, cache)[0]
    return {
        "y": measure(bits_or_floats(got), y, BFLOAT16),
        "dx": measure(bits_or_floats(got_dx), dx, BFLOAT16),
    }


def filters(dtype, move):
    """The circulant product and the pair of transforms, at lengths around the rule."""
    far = {}
    for l in LENGTHS:
        far |= one_window(l, dtype, move)
    return far


def one_window(l, dtype, move):
    """Both ways at one length."""
    far, room, rng = {}, 30 * np.finfo(dtype).eps, np.random.default_rng(l)
    x, dy = rng.standard_normal((2, 3, l, 5))
    p = FilterParams(*rng.standard_normal((2, l // 2 + 1, 5)))
    y, cache = spectral_filter(x, p)
    dx, dp = spectral_filter_backward(dy, cache)
    here, up, taps = place(move, (x, dy, p), dtype)
    for way in (spectral.circulant, spectral.fourier):
        got, cache = way(here, taps)
        got_dx, got_dp = spectral_filter_backward(up, cache)
        for name, a, b in [("y", got, y), ("dx", got_dx, dx), ("dre", got_dp.re, dp.re)]:
            far[f"{way.__name__} {l} {name}"] = measure(a, b, room)
        size = np.linalg.norm(dp.im) + 1  # at one or two steps this gradient is zero
        far[f"{way.__name__} {l} dim"] = measure(got_dp.im, dp.im, room, size)
    return far


def ladder(dtype, move):
    """Each rung against the recurrence in float64 and against the rung below, both ways in time."""
    far, l = {}, 300
    a, b, h0 = pairs(dtype, l)
    room = 4 * (2 + np.log2(1 + l)) * np.finfo(dtype).eps
    double = "complex128" if dtype[0] == "c" else "float64"
    for turn, way in [(1, ""), (-1, " reversed")]:
        truth = recurrence_op.sequential(*(x[:, ::turn].astype(double) for x in (a, b)), h0)
        truth, below = truth[:, ::turn], None
        for rung in RUNGS:
            more = {"chunk": 130} if rung == "grid" else {}
            h = getattr(scan, rung)(*map(move, (a, b, h0)), reverse=turn < 0, **more)
            far[f"{rung}{way}"] = measure(h, truth, room)
            if below is not None:
                far[f"{rung}{way} and the rung below"] = measure(h, below, room)
            below = to_host(h)
    return far


def pairs(dtype, l):
    """Return (a, b, h0) of a recurrence of a dtype, decays below 1."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, l, 3))
    if dtype[0] == "c":
        a, b = (x + 1j * rng.standard_normal(x.shape) for x in (a, b))
    b = b.astype(dtype)
    return (0.95 * a / (1 + abs(a))).astype(dtype), b, b[:, 0]
