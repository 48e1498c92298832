"""How fast are the schedules of the plain recurrence? Beside memcpy, plain C and the peers.

    python -m benchmarks scan                every shape, float32 and float64
    python -m benchmarks scan --quick        few rounds, nothing is saved

The arrays are (b, l, d n); ours runs on time axis 1 as it is. "time first" gives the sequential
schedule what C has: contiguous steps.
"""

import statistics

import numpy as np

from benchmarks.common import (
    every_shape,
    interleave,
    parser,
    ratio,
    require_like,
    say_left_out,
    show,
)
from benchmarks.cpu import native
from benchmarks.cpu.peers import left_out
from benchmarks.cpu.selective import SHAPES, missing
from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    hillis_steele,
    sequential,
)

SCHEDULES = {
    "sequential": sequential,
    "chunked(32)": chunked(32),
    "blelloch": blelloch,
    "hillis_steele": hillis_steele,
}


def draw(shape, dtype):
    """Return (a, b, h0) of one channel-last recurrence."""
    b, l, e, n = shape
    rng = np.random.default_rng(0)
    a, drive = rng.uniform(0.2, 1, (b, l, e * n)), rng.standard_normal((b, l, e * n))
    return a.astype(dtype), drive.astype(dtype), np.zeros((b, e * n), dtype)


def time_first(x):
    """Return (b, l, s) as contiguous (l, b s)."""
    return np.ascontiguousarray(np.swapaxes(x, 0, 1)).reshape(x.shape[1], -1)


def contenders(a, b, h0):
    """Return {name: call}; every call computes all states."""
    calls = {}
    if native.unavailable() is None:
        calls["C"] = native.recurrence("C", time_first(a), time_first(b))
    for name, schedule in SCHEDULES.items():
        calls[name] = lambda schedule=schedule: schedule(a, b, h0)
    rows = [time_first(x)[None] for x in (a, b)]
    calls["sequential, time first"] = lambda: sequential(*rows, h0.reshape(1, -1))
    return calls | peers(a, b)


def peers(a, b):
    """Return the calls of what is installed; the arrays in the peer's own layout."""
    makers = {
        "torch loop": lambda: _torch_loop(a, b),
        "mambapy pscan": lambda: _mambapy(a, b),
        "jax associative_scan": lambda: _jax(a, b)[0],
        "jax lax.scan": lambda: _jax(a, b)[1],
        "numba": lambda: _numba(time_first(a), time_first(b)),
    }
    return {name: make() for name, make in makers.items() if name not in left_out()}


def _torch_loop(a, b):
    import torch

    torch.set_num_threads(1)
    a, b = (torch.from_numpy(time_first(x)) for x in (a, b))

    def run():
        h, states = torch.zeros_like(b[0]), []
        for a_t, b_t in zip(a.unbind(0), b.unbind(0), strict=True):
            h = a_t * h + b_t
            states.append(h)
        return torch.stack(states)

    return run


def _mambapy(a, b):
    import torch
    from mambapy.pscan import pscan

    a, b = (torch.from_numpy(x)[..., None] for x in (a, b))

    def run():
        with torch.no_grad():
            return pscan(a, b)

    return run


def _jax(a, b):
    import jax

    jax.config.update("jax_enable_x64", True)
    arrays = [jax.numpy.asarray(time_first(x)) for x in (a, b)]

    def combine(x, y):
        return y[0] * x[0], y[0] * x[1] + y[1]

    def step(h, x):
        h = x[0] * h + x[1]
        return h, h

    tree = jax.jit(lambda a, b: jax.lax.associative_scan(combine, (a, b))[1])
    loop = jax.jit(lambda a, b: jax.lax.scan(step, jax.numpy.zeros_like(b[0]), (a, b))[1])
    return [lambda f=f: jax.block_until_ready(f(*arrays)) for f in (tree, loop)]


def _numba(a, b):
    import numba

    @numba.njit(fastmath=True)
    def run(a, b, h):
        h[0] = b[0]
        for t in range(1, b.shape[0]):
            for i in range(b.shape[1]):
                h[t, i] = a[t, i] * h[t - 1, i] + b[t, i]
        return h

    h = np.empty_like(b)
    return lambda: run(a, b, h)


def measure(shape, dtype, rounds, seconds):
    """Time every contender at one shape; print the table, return what goes into the JSON file."""
    a, b, h0 = draw(shape, dtype)
    calls = contenders(a, b, h0)
    require_like(calls)
    target = np.empty_like(b)
    calls["memcpy of b"] = lambda: np.copyto(target, b)
    times = interleave(calls, rounds, seconds)
    base = "C" if "C" in calls else "sequential"
    rows = {n: [statistics.median(times[n]) * 1e3, ratio(times, n, base)] for n in times}
    title = f"h_t = a_t h_(t-1) + b_t, (b, l, d, n) = {shape}, {dtype}"
    show(title, {n: [f"{x:.2f}" for x in r] for n, r in rows.items()}, ["ms", f"/ {base}"])
    return {"shape": shape, "dtype": dtype, "ms and ratio": rows}


def main(argv):
    say_left_out(missing())
    every_shape("scan", SHAPES, measure, parser(__doc__, seconds=20), argv)
