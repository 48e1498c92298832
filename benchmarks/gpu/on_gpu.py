"""Some benchmarks of the CPU on a GPU: kernels beside array code, by CUDA events; prints only.

    python -m benchmarks scan|selective|step|length --device gpu [--quick]

`make gpu-check` has the same times and more, beside what the device allows.
"""

import sys
from itertools import pairwise
from math import log

import numpy as np

from benchmarks.common import parser
from benchmarks.gpu import bench, report
from minimamba import gpu
from minimamba.dispatch import using
from minimamba.recsys.config import ModelConfig, TrainConfig
from minimamba.recsys.data.windows import Batch
from minimamba.recsys.fit import begin, train_step
from minimamba.recsys.zoo import build, first_weights
from minimamba.trees import tree_map

ITEMS = 3416
SIZES = {
    "scan": [(64, 512, 256), (1, 65536, 16)],
    "selective": [(8, 2048, 2048, 16), (2048, 50, 128, 32), (2048, 200, 128, 32)],
    "step": [(256, 50), (2048, 50), (2048, 200)],
    "length": [(2, l, 256, 16) for l in (1024, 2048, 4096, 8192)],
}
QUICK = {
    "scan": [(2, 40, 3)],
    "selective": [(2, 9, 3, 3)],
    "step": [(3, 6)],
    "length": [(2, 8, 4, 3), (2, 16, 4, 3)],
}


def step_rows(device, shape):
    """Return the rows of one training step of EchoMamba4Rec with 3,416 items."""
    b, l = shape
    rng, settings = np.random.default_rng(0), TrainConfig(batch=b)
    model, items = build(ModelConfig(length=l), ITEMS), rng.integers(1, ITEMS + 1, (b, l))
    batch = Batch(items, np.full(b, l), rng.integers(1, ITEMS + 1, b), None, None)
    state = begin(tree_map(device.cupy.asarray, first_weights(model, 0, "float32")))
    calls, rows = [lambda: train_step(model, batch, state, settings)], []
    for name, enabled in (("step", True), ("step, array code", False)):
        with using(enabled=enabled):
            taken = bench.timed(device, calls, most=20)
        rows.append(bench.Row(name, "float32", shape, **taken))
    return rows


ROWS = {
    "scan": lambda *x: bench.ladder_rows(*x) + bench.array_ladder_rows(*x),
    "selective": bench.array_rows,
    "step": step_rows,
    "length": lambda device, shape: bench.fused_rows(device, shape, "float32", 0.3),
}


def main(argv):
    """Time what the first argument names; print a table."""
    if reason := gpu.unavailable():
        print(f"benchmarks: --device gpu: {reason}", file=sys.stderr)
        return 2
    what, *rest = argv
    args = parser(__doc__).parse_args(rest)
    device = bench.open_device()
    sizes = (QUICK if args.quick else SIZES)[what]
    found = [row._asdict() for shape in sizes for row in ROWS[what](device, shape)]
    more = growth(found) if what == "length" else []
    print("\n".join([gpu.describe(), *report.table(found), *more]))
    return 0


def growth(rows):
    """Return a line for how each pass grows from one length to the next."""
    lines = []
    for name in ("forward", "backward"):
        for one, two in pairwise(row for row in rows if row["what"] == name):
            power = log(two["median"] / one["median"]) / log(two["shape"][1] / one["shape"][1])
            lines.append(f"{one['shape'][1]} to {two['shape'][1]}: {name} as l^{power:.2f}")
    return lines
