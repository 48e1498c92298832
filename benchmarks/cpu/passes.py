"""Where does the time of the selective scan go? Every pass over a chunk, in ns per state.

    python -m benchmarks passes              prints, saves passes.json

The chunk is the one that the scan itself would use at each shape. Beside its passes stand what they
replace, and two floors: the exponential alone, and a copy from the cache to the cache.
"""

import statistics

import numpy as np

from benchmarks.common import interleave, parser, save, show
from benchmarks.cpu.selective import SHAPES
from minimamba.ops.selective import chunks
from minimamba.ops.selective import plan as plans
from minimamba.ops.selective.memory import aligned_empty, short_buffers

LABELS = {
    "copy": "a copy, the floor of any pass",
    "exp": "exp alone",
    "decays": "step A, exp",
    "outer": "drive, an outer product",
    "loop": "h = a h + b, step by step",
    "read": "C h, a sum over states",
    "channels": "h dy, a sum over channels",
    "adjoint": "drive and loop of the adjoint",
    "product": "a g h, a product",
    "dA": "dA, a sum over time",
    "dstep": "d step, a sum over states",
    "decays, long buffers": "step A, exp, with NumPy's own buffers",
    "outer by broadcasting": "outer product by broadcasting",
    "product, not aligned": "a g h, all arrays between cache lines",
}


def draw(shape, dtype):
    """Return the Signals of one chunk, its state, and its work arrays."""
    b, l, e, n = shape
    plan = plans.plan(b, l, n, e, np.dtype(dtype).itemsize)
    rng = np.random.default_rng(0)
    t, r = plan.steps, plan.rows

    def normal(*sizes):
        return rng.standard_normal(sizes).astype(dtype)

    step = rng.uniform(0.01, 0.1, (t, r, e)).astype(dtype)
    rows = [chunks.above_zeros(normal(t, r, k)) for k in (e, n, n)]
    A = -np.repeat(np.arange(1, n + 1.0)[:, None], e, axis=1).astype(dtype)
    work = plans.fit(plans.allocate(np, plan, n, e, dtype, adjoint=True), (r, n, e))
    return chunks.Signals(step, rows[0], A, *rows[1:]), np.zeros((r, n, e), dtype), work


def passes(s, state, work):
    """Return {key of LABELS: call}; every call goes over the whole chunk once."""
    a, h, g = work.a, work.h, work.g
    chunks.states(s, state, work)
    decays = a.copy()
    loop, adjoint = loops(s, state, decays, work)
    y, sums = np.empty(s.step.shape, a.dtype), np.empty(s.B[:, :, 0].shape, a.dtype)
    ones, shift = one_everywhere(a), 16 // a.itemsize
    flat, unit = g.reshape(-1)[shift:], ones.reshape(-1)[shift:]
    steps = s.step[:, :, None, :]
    return {
        "copy": lambda: np.copyto(g, decays),
        "exp": lambda: np.exp(decays, out=g),
        "decays": lambda: np.exp(np.multiply(steps, s.A, out=g), out=g),
        "outer": lambda: chunks.outer(s.B, s.v, g),
        "loop": loop,
        "read": lambda: chunks.read(s.C, h[1:], y),
        "channels": lambda: chunks.sum_channels(h[1:], s.v, sums),
        "adjoint": adjoint,
        "dA": lambda: np.einsum("trne,tre->ne", decays, s.step),
        "dstep": lambda: np.einsum("trne,ne->tre", decays, s.A),
        "outer by broadcasting": lambda: np.multiply(s.B[:, :, 0, :, None], s.v[:, :, :1], out=g),
        "product": lambda: np.multiply(ones, g, out=g),
        "product, not aligned": lambda: np.multiply(unit, flat, out=flat),
    }


def loops(s, state, decays, work):
    """Return the two calls that go through a chunk step by step: of the states, of the adjoint."""
    carry = state.copy()

    def loop():
        before = state
        for a_t, h_t in zip(decays, work.h[1:], strict=True):
            np.multiply(a_t, before, work.state)
            before = np.add(h_t, work.state, h_t)

    def adjoint():
        work.a[...] = decays
        chunks.adjoint_states(s.v, s.C, work.a, carry, work)
        carry[...] = 0

    return loop, adjoint


def one_everywhere(a):
    """Return ones in the shape of a, as aligned as a is: products with them do not underflow."""
    ones = aligned_empty(np, a.size, a.dtype).reshape(a.shape)
    ones[...] = 1
    return ones


def measure(shape, dtype, rounds):
    """Return what goes into the JSON file: ns per state of every pass at one shape."""
    s, state, work = draw(shape, dtype)
    calls = passes(s, state, work)
    with np.errstate(all="ignore"), short_buffers(np):
        times = interleave(calls, rounds)
    with np.errstate(all="ignore"):
        times |= interleave({"decays, long buffers": calls["decays"]}, rounds)
    states = s.step.size * len(s.A)
    found = {name: statistics.median(times[name]) / states * 1e9 for name in LABELS}
    return {"shape": shape, "dtype": dtype, "states of a chunk": states, "ns": found}


def main(argv):
    args = parser(__doc__).parse_args(argv)
    results = [
        measure(shape, dtype, 3 if args.quick else 15)
        for dtype in ("float32", "float64")
        for shape in SHAPES
    ]
    columns = [f"{r['dtype']} {r['shape']}" for r in results]
    for part in (slice(0, 4), slice(4, 8)):
        rows = {LABELS[k]: [f"{r['ns'][k]:.2f}" for r in results[part]] for k in LABELS}
        show("ns per state", rows, columns[part])
    if not args.quick:
        print(save("passes", {"results": results}))
