"""How fast are the schedules of the plain recurrence? Beside memcpy, plain C and the peers.

    python -m benchmarks scan                every shape, float32 and float64
    python -m benchmarks scan --quick        few rounds, nothing is saved

The arrays are (b, l, d n); ours runs on time axis 1 as it is. "time first" gives the sequential
schedule what C has: contiguous steps.
"""

import statistics

import numpy as np

from benchmarks import peers
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
    return calls | peers.recurrences(a, b, rows)


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
