"""The benchmarks of the CPU, on a GPU: kernels beside array code.

    python -m benchmarks scan|selective|step|length --device gpu [--quick]

Wall time of one call, from the host's view: it ends when the GPU is idle again. `make gpu-check`
has the times by CUDA events, beside what the device allows.
"""

import argparse
import statistics
import time
from itertools import pairwise
from math import log

import cupy
import numpy as np

from benchmarks.common import show
from minimamba import gpu
from minimamba.dispatch import using
from minimamba.kernels import scan as rungs
from minimamba.ops.recurrence import blelloch, chunked, hillis_steele, recurrence
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from minimamba.recsys.config import ModelConfig, TrainConfig
from minimamba.recsys.data.windows import Batch
from minimamba.recsys.fit import begin, train_step
from minimamba.recsys.zoo import build, first_weights
from minimamba.trees import tree_map

ITEMS = 3416
SCANS = [(64, 512, 256), (1, 65536, 16)]
SHAPES = [(8, 2048, 2048, 16), (2048, 50, 128, 32), (2048, 200, 128, 32)]
STEPS = [(256, 50), (2048, 50), (2048, 200)]
LENGTHS = [1024, 2048, 4096, 8192]
QUICK = {"scan": [(2, 40, 3)], "selective": [(2, 9, 3, 3)], "step": [(3, 6)], "length": [8, 16]}


def milliseconds(call, rounds):
    """Return the median wall time of a call until the GPU is idle."""
    call()  # compile
    times = []
    for _ in range(rounds):
        cupy.cuda.Device().synchronize()
        start = time.perf_counter()
        call()
        cupy.cuda.Device().synchronize()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def normal(*shape):
    """Return normal float32 numbers on the GPU."""
    return cupy.asarray(np.random.default_rng(0).standard_normal(shape, dtype="float32"))


def scan(shape):
    """Return {name: call} of the schedules, in array code and as kernels."""
    a, b, h0 = abs(normal(*shape)) / 4, normal(*shape), normal(shape[0], *shape[2:])
    schedules = {"chunked(32)": chunked(32), "blelloch": blelloch, "hillis_steele": hillis_steele}
    for name in ("blelloch", "warp", "block", "grid"):
        schedules[f"kernel {name}"] = getattr(rungs, name)
    return {k: lambda s=s: recurrence(a, b, h0, schedule=s) for k, s in schedules.items()}


def selective(shape):
    """Return {name: call} of the selective scan, forward and backward."""
    b, l, e, n = shape
    inputs = normal(b, l, e), normal(b, l, e), -cupy.exp(normal(e, n)), normal(b, l, n)
    inputs += normal(b, l, n), normal(e), normal(b, l, e), normal(e), True
    y, _, cache = selective_scan(*inputs)
    return {
        "forward": lambda: selective_scan(*inputs),
        "backward": lambda: selective_scan_backward(y, None, cache),
        "forward, array code": without_kernels(lambda: selective_scan(*inputs)),
    }


def without_kernels(call):
    def run():
        with using(enabled=False):
            return call()

    return run


def step(shape):
    """Return {name: call} of one training step of EchoMamba4Rec with 3,416 items."""
    b, l = shape
    rng, settings = np.random.default_rng(0), TrainConfig(batch=b)
    model, items = build(ModelConfig(length=l), ITEMS), rng.integers(1, ITEMS + 1, (b, l))
    batch = Batch(items, np.full(b, l), rng.integers(1, ITEMS + 1, b), None, None)
    state = begin(tree_map(cupy.asarray, first_weights(model, 0, "float32")))

    def call():
        return train_step(model, batch, state, settings)

    return {"step": call, "step, array code": without_kernels(call)}


def length(l):
    """Return {name: call} of the selective scan at 2 x 256 channels and 16 states."""
    calls = selective((2, l, 256, 16))
    return {name: calls[name] for name in ("forward", "backward")}


def main(argv):
    """Time what is asked for; print a table a shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=sorted(QUICK))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    args = parser.parse_args(argv)
    calls = {"scan": scan, "selective": selective, "step": step, "length": length}[args.what]
    sizes = {"scan": SCANS, "selective": SHAPES, "step": STEPS, "length": LENGTHS}[args.what]
    print(gpu.describe())
    found, rounds = {}, 3 if args.quick else 20
    for shape in QUICK[args.what] if args.quick else sizes:
        found[shape] = {k: milliseconds(call, rounds) for k, call in calls(shape).items()}
        rows = {k: [f"{ms:.3f}"] for k, ms in found[shape].items()}
        show(f"{args.what} {shape}, float32", rows, ["ms"])
    if args.what == "length":
        growth(found)


def growth(found):
    """Print how times grow from each length to the next."""
    for (one, x), (two, y) in pairwise(found.items()):
        powers = {k: log(y[k] / x[k]) / log(two / one) for k in x}
        print(f"{one} to {two}:", ", ".join(f"{k} as l^{v:.2f}" for k, v in powers.items()))
