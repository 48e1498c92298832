"""What only the GPU benchmarks ask of CuPy: events, random numbers, attributes of the device."""

import sys
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
from pytest import MonkeyPatch

from benchmarks.gpu import bench, parts, windows
from minimamba.kernels import scan
from tests import cupy_stand_in
from tests.cupy_stand_in.array import device, to_host

EPOCH = ("train.epochs=1", "train.batch=2048", "train.dtype=float64")  # array code is faster here
SHAPES = ((2, 17, 33, 3), (1, 9, 32, 16))
ATTRIBUTES = {"cudaDevAttrClockRate": 1000, "cudaDevAttrMultiProcessorCount": 2}  # kHz: a slow one


class Event:
    """The host's clock in place of the device's."""

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        device.waits["event"] += 1


class RandomState:
    """Numbers of a seed, float32 or float64."""

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed)

    def standard_normal(self, size=None, dtype=float):
        return cupy_stand_in.cupy.asarray(self.draw.standard_normal(size, dtype))


def copyto(dst, src):
    """Copy the numbers of an array into another."""
    dst._host[...] = to_host(src)


def install(patch):
    """Put the stand-in, and this beside it, where `import cupy` finds it."""
    cupy = cupy_stand_in.install(patch)
    patch.setattr(cupy, "random", SimpleNamespace(RandomState=RandomState), raising=False)
    patch.setattr(cupy, "copyto", copyto, raising=False)
    pool = SimpleNamespace(free_bytes=lambda: 1 << 20, free_all_blocks=lambda: None)
    patch.setattr(cupy, "get_default_memory_pool", lambda: pool)
    more = {
        "Event": Event,
        "get_elapsed_time": lambda start, stop: 1000 * (stop.at - start.at),
        "get_current_stream": lambda: SimpleNamespace(synchronize=lambda: None),
        "nvrtc": SimpleNamespace(getVersion=lambda: (13, 0)),
    }
    for name, value in more.items():
        patch.setattr(cupy.cuda, name, value, raising=False)
    run = cupy.cuda.runtime
    patch.setattr(run, "deviceGetAttribute", lambda what, number: what, raising=False)
    for name, value in ATTRIBUTES.items():
        patch.setattr(run, name, value, raising=False)
    known = {"name": b"A stand-in", "totalGlobalMem": 1 << 30}
    patch.setattr(run, "getDeviceProperties", lambda number: known)
    return cupy


def shrink(patch):
    """Give the parts of `make gpu-check` sizes for a CPU."""
    patch.setattr(bench, "SHAPES", SHAPES)
    patch.setattr(bench, "PAST_THE_CACHE", 1 << 14)
    patch.setattr(bench, "COPY_BYTES", 1 << 16)
    patch.setattr(windows, "WINDOWS", (4, 5))
    patch.setattr(windows, "BATCHES", ((3, 2),))
    patch.setattr(windows, "PAST_THE_CACHE", 1 << 10)
    patch.setattr(parts, "SIDE_BY_SIDE", (2, 70, 3))
    patch.setattr(parts, "ONE_LONG", (1, 300, 1))
    patch.setattr(parts, "IN_ARRAYS", SHAPES[1])
    patch.setattr(parts, "KERNELS", ("tests/kernels/test_conv.py", "--device", "gpu"))
    patch.setattr(parts, "LAWS", ("tests/test_laws.py", "-k", "cupy_gives and linear"))
    patch.setattr(parts, "EPOCH", (*EPOCH, "model.length=6", "model.width=4"))
    patch.setattr(parts, "WORKERS", 0)
    patch.setattr(scan, "THREADS", 64)
    short = partial(bench.timed, seconds=0.0)
    for module in (bench, windows):
        patch.setattr(module, "timed", lambda d, calls, seconds=0, most=9: short(d, calls))


def main(*arguments):
    """Run one part of `make gpu-check` on the stand-in."""
    with MonkeyPatch.context() as patch:
        install(patch)
        shrink(patch)
        return parts.main(*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
