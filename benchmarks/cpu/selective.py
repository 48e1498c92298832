"""How fast is the selective scan? Beside plain C and beside the peers, on one core.

python -m benchmarks selective           every shape, float32 and float64
python -m benchmarks selective --quick   few rounds, nothing is saved
"""

import statistics

import numpy as np

from benchmarks import peers
from benchmarks.common import (
    allocated,
    every_shape,
    interleave,
    parser,
    ratio,
    require_like,
    resident,
    say_left_out,
    show,
)
from benchmarks.cpu import native
from minimamba.ops.selective.naive import selective_scan_naive
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward

SHAPES = [(1, 1024, 64, 16), (8, 200, 128, 32), (64, 50, 128, 32), (2, 4096, 256, 16)]
OURS, REFERENCE = "minimamba", "C fast-math"


def draw(shape, dtype, seed=0):
    """Return (u, delta, A, B, C, D, z, bias) as Mamba initializes them, and a cotangent."""
    b, l, e, n = shape
    rng = np.random.default_rng(seed)
    step = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), e))
    bias = step + np.log(-np.expm1(-step))
    A = -np.tile(np.arange(1, n + 1.0), (e, 1)) * np.exp(0.05 * rng.standard_normal((e, n)))
    sequence, tokens = (b, l, e), (b, l, n)
    u, z, dy = (rng.standard_normal(sequence) for _ in range(3))
    delta = 0.5 * rng.standard_normal(sequence)
    B, C = rng.standard_normal(tokens), rng.standard_normal(tokens)
    inputs = (u, delta, A, B, C, rng.standard_normal(e), z, bias)
    return [x.astype(dtype) for x in inputs], dy.astype(dtype)


def ours(inputs, dy):
    """Return our two calls."""

    def forward():
        return selective_scan(*inputs, True)

    def both():
        y, _, cache = forward()
        return y, selective_scan_backward(dy, None, cache)

    return forward, both


def contenders(shape, inputs, dy):
    """Return {name: (forward, both or None)}, ours first; very slow ones not where it hurts."""
    calls = {OURS: ours(inputs, dy)}
    calls["NumPy, the definition"] = (lambda: selective_scan_naive(*inputs, True), None)
    if native.unavailable() is None:
        for flavour in native.FLAGS:
            calls[flavour] = native.selective_scan(flavour, inputs, dy)
    return calls | peers.selective_scans(inputs, dy)


def output(forward):
    """Return a call that gives y alone."""

    def call():
        found = forward()
        return found[0] if isinstance(found, tuple) else found

    return call


def missing():
    """Return {name: reason} of what is not there to compare with."""
    reason = native.unavailable()
    return peers.left_out() | ({} if reason is None else dict.fromkeys(native.FLAGS, reason))


def memcpy(inputs):
    """Return a call that copies u: the floor of what touching the input costs."""
    target = np.empty_like(inputs[0])
    return lambda: np.copyto(target, inputs[0])


def measure(shape, dtype, rounds, seconds):
    """Time every contender at one shape; print the table, return what goes into the JSON file."""
    inputs, dy = draw(shape, dtype)
    calls = contenders(shape, inputs, dy)
    require_like({name: output(forward) for name, (forward, _) in calls.items()})
    result = {"shape": shape, "dtype": dtype}
    for which, label in ((0, "forward"), (1, "forward and backward")):
        some = {name: pair[which] for name, pair in calls.items() if pair[which] is not None}
        some["memcpy of u"] = memcpy(inputs)
        times = interleave(some, rounds, seconds)
        base = REFERENCE if REFERENCE in times else OURS
        result[label] = {
            name: {
                "ms": statistics.median(times[name]) * 1e3,
                "ratio": ratio(times, name, base),
                "MiB": resident(some[name]) / 2**20,
            }
            for name in times
        }
        result[label][OURS]["MiB allocated"] = allocated(some[OURS]) / 2**20
    report(result)
    return result


def report(result):
    """Print one shape's two tables as one."""
    one, two = result["forward"], result["forward and backward"]
    rows = {}
    for name in one:
        cells = []
        for column in (one, two):
            x = column.get(name)
            cells += ["-"] * 3 if x is None else [f"{y:.2f}" for y in figures(x)]
        rows[name] = cells
    title = f"selective scan (b, l, e, n) = {tuple(result['shape'])}, {result['dtype']}"
    base = REFERENCE if REFERENCE in one else OURS
    columns = ["forward ms", f"/ {base}", "MiB", "both ms", f"/ {base}", "MiB"]
    show(title, rows, columns)


def figures(x):
    """Return ms, ratio and MiB of one contender: what it allocated, where that can be seen."""
    return x["ms"], x["ratio"], x.get("MiB allocated", x["MiB"])


def main(argv):
    say_left_out(missing())
    every_shape("selective_scan", SHAPES, measure, parser(__doc__, seconds=40), argv)
