"""Every kernel against float64: here the fused scan and the ops; `gpu_plain` has the others.

`move` puts NumPy arrays where the kernels run: cupy.asarray on a GPU. tests/kernels runs the same
checks on the CPU, with numpy.asarray and the emulator. A check returns {number: Far}.

    python -m benchmarks.gpu.numbers         # a few small ones, on the GPU: for compute-sanitizer
"""

import sys
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.gpu import plain
from benchmarks.gpu.problems import Far, bits_or_floats, conv_problem, measure, named, place, wide
from minimamba.arrays import to_host
from minimamba.dispatch import using
from minimamba.kernels import scan, selective
from minimamba.kernels.bfloat16 import from_bfloat16, to_bfloat16
from minimamba.ops import conv as conv_op
from minimamba.ops.selective import scan as selective_op
from minimamba.ops.selective.last import selective_scan_last, selective_scan_last_backward
from minimamba.ops.spectral import FilterParams, spectral_filter
from tests.kernels.problems import BFLOAT16, FORWARD, GRADIENT, selective_answer, selective_problem

SHAPES = (  # around every tile; b, l, e, n
    *[(1, 1, 1, 1), (3, 2, 31, 3), (1, 7, 33, 16), (2, 33, 33, 16), (1, 101, 33, 32)],
    *[(2, 50, 128, 32), (2, 20, 33, 5), (1, 21, 33, 48), (1, 11, 3, 65), (1, 20, 33, 256)],
)
SMALL = ("fused (2, 33, 33, 16)", "fused in segments", "convolution (2, 40, 33)", "ladder float32")
SEQUENCES = ("u", "delta", "B", "C", "z")


class Problem(NamedTuple):
    """What `fused` needs to know beyond the shape."""

    shape: tuple
    without: dict | None = None
    start: bool = True  # with h0, and a gradient of h_last


def checks():
    """Return {name: check}, a check being a function of `move`."""
    found = {f"fused {shape}": partial(fused, Problem(shape)) for shape in SHAPES}
    absent = [{"D": None}, {"z": None}, {"delta_bias": None}, {"delta_softplus": False}]
    for without in absent:
        found[f"fused without {next(iter(without))}"] = partial(
            fused, Problem((2, 19, 33, 3), without, start=False)
        )
    found["fused in segments"] = partial(fused, Problem((1, 1057, 33, 16)))
    found["fused, deterministic"] = deterministic
    found |= {f"fused, bfloat16, {n} states": partial(fused_bfloat16, n) for n in (16, 65)}
    found["fused, small steps"] = partial(fused, Problem((1, 9, 3, 3)), shift=-9)
    found["the ops choose the kernels"] = through_the_ops
    for shape in [(2, 40, 33), (1, 389, 33)]:
        found[f"convolution {shape}"] = partial(plain.convolution, shape)
    found["convolution, bfloat16"] = plain.convolution_bfloat16
    for dtype in ("float32", "float64"):
        found[f"spectral {dtype}"] = partial(plain.filters, dtype)
    found |= {f"ladder {dtype}": partial(plain.ladder, dtype) for dtype in scan.REALS}
    return found


def fused(problem, move, shift=0):
    """The fused scan: both outputs and every gradient."""
    x, h0, dy, dh_last = selective_problem(*problem.shape, **(problem.without or {}))
    if not x.delta_softplus:
        x = x._replace(delta=np.abs(x.delta) / 4, delta_bias=np.abs(x.delta_bias))
    x = x._replace(delta=x.delta + np.float32(shift))
    if not problem.start:
        h0 = dh_last = None
    want = selective_answer(x, h0, dy, dh_last)
    x, h0, dy, dh_last = place(move, (x, h0, dy, dh_last))
    y, h_last, cache = selective.forward(x, h0)
    return compare_fused((y, h_last, selective.backward(dy, dh_last, cache)), want)


def compare_fused(got, want, tolerances=(FORWARD, GRADIENT)):
    """Measure y, h_last and the gradients; that of delta_bias against the sizes of its terms."""
    (y, h_last, grads), (want_y, want_h, want_grads) = got, want
    terms = {"delta_bias": np.abs(want_grads.delta).sum(axis=(0, 1))}
    far = {
        "y": measure(bits_or_floats(y), want_y, tolerances[0]),
        "h_last": measure(h_last, want_h, FORWARD),
    }
    for name, g in named(want_grads):
        mine = bits_or_floats(getattr(grads, name))
        far[f"d{name}"] = measure(mine, g, tolerances[1], terms.get(name))
    return far


def fused_bfloat16(n, move):
    """bfloat16 in memory, float32 inside: one rounding of each result."""
    x, h0, dy, dh_last = selective_problem(2, 41, 33, n)
    bits = x._replace(**{name: to_bfloat16(getattr(x, name)) for name in SEQUENCES})
    exact = x._replace(**{name: from_bfloat16(getattr(bits, name)) for name in SEQUENCES})
    dy = to_bfloat16(dy)
    want = selective_answer(exact, h0, from_bfloat16(dy), dh_last)
    bits, h0, dy, dh_last = place(move, (bits, h0, dy, dh_last))
    y, h_last, cache = selective.forward(bits, h0)
    grads = selective.backward(dy, dh_last, cache)
    return compare_fused((y, h_last, grads), want, (BFLOAT16, BFLOAT16))


def deterministic(move):
    """Twice the same bits, and the right ones."""
    problem = selective_problem(2, 19, 100, 16)
    want = selective_answer(*problem)
    x, h0, dy, dh_last = place(move, problem)
    with using(deterministic=True):
        y, h_last, cache = selective.forward(x, h0)
        first, again = (selective.backward(dy, dh_last, cache) for _ in range(2))
    far = compare_fused((y, h_last, first), want)
    for name, g in named(first):
        same = np.array_equal(to_host(g), to_host(getattr(again, name)))
        far[f"d{name} again"] = Far(0.0 if same else np.inf, 0.0)
    return far


def through_the_ops(move):
    """float32 arrays take a kernel through the op itself; float64 arrays the array code."""
    far = read_at_one_place(move) | other_ops(move)
    problem = selective_problem(2, 33, 33, 16)
    want = selective_answer(*problem)
    for dtype, rooms in [("float32", (FORWARD, GRADIENT)), ("float64", (1e-12, 1e-12))]:
        x, h0, dy, dh_last = place(move, problem, dtype)
        y, h_last, cache = selective_op.selective_scan(*x, h0=h0)
        grads = selective_op.selective_scan_backward(dy, dh_last, cache)
        mine = type(cache).__module__.startswith("minimamba.kernels.")
        far[f"{dtype} went its way"] = Far(0.0 if mine == (dtype == "float32") else np.inf, 0.0)
        part = compare_fused((y, h_last, grads), want, rooms)
        far |= {f"{dtype} {name}": distance for name, distance in part.items()}
    return far


def other_ops(move):
    """The convolution and the spectral filter, by their ops."""
    rng = np.random.default_rng(0)
    x, p, state, _, _ = conv_problem(2, 40, 33)
    want = conv_op.causal_conv1d(*wide((x, p, state)))[0]
    got = conv_op.causal_conv1d(*place(move, (x, p, state)))[0]
    far = {"causal_conv1d": measure(got, want, 1e-6)}
    x, p = rng.standard_normal((3, 50, 5)), FilterParams(*rng.standard_normal((2, 26, 5)))
    got = spectral_filter(*place(move, (x, p), "float32"))[0]
    far["spectral_filter"] = measure(got, spectral_filter(x, p)[0], 30 * np.finfo("float32").eps)
    return far


def read_at_one_place(move):
    """The scan read at one position, by its op."""
    x, _, dy, _ = selective_problem(3, 21, 33, 16)
    x, last = x._replace(C=x.C[:, 0], z=x.z[:, 0]), np.array([20, 0, 7])

    def run(x, last, dy):
        y, cache = selective_scan_last(*x[:5], last, *x[5:])
        return y, selective_scan_last_backward(dy, cache)

    y, grads = run(wide(x), last, wide(dy[:, 0]))
    got, got_grads = run(place(move, x), move(last), move(dy[:, 0]))
    far = {"read at one place": measure(got, y, FORWARD)}
    terms = {"delta_bias": np.abs(grads.delta).sum(axis=(0, 1))}
    for name, g in named(grads):
        mine = getattr(got_grads, name)
        far[f"read at one place d{name}"] = measure(mine, g, GRADIENT, terms.get(name))
    return far


def small(move):
    """Run a few small checks; return None, or what is too far from float64."""
    for name in SMALL:
        bad = [number for number, far in checks()[name](move).items() if not far.ok]
        if bad:
            return f"{name}: {', '.join(bad)} too far from float64"
    return None


if __name__ == "__main__":
    import cupy

    sys.exit(small(cupy.asarray))
