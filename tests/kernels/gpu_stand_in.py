"""What only the GPU benchmarks ask of CuPy: events, random numbers, attributes of the device."""

import time
from types import SimpleNamespace

import numpy as np

from tests import cupy_stand_in
from tests.cupy_stand_in.array import device, to_host

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
