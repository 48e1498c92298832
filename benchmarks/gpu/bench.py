"""Times of the GPU kernels by CUDA events, beside the floor that their bytes and exponentials set.

A floor is the larger of two times: the bytes that must move, at the copy bandwidth measured on the
same device, and the exponentials at 16 a cycle and multiprocessor (docs/gpu.md). Inputs rotate, so
that a call does not find the last one's in the cache; the device is kept busy while the host
prepares a call, so that the events hold the device's time alone. `wall` is what a caller waits
for each of many calls, launches included.
"""

import functools
import statistics
import time
from types import ModuleType
from typing import NamedTuple

import numpy as np

from minimamba.dispatch import using
from minimamba.kernels import scan, selective
from minimamba.kernels.bfloat16 import to_bfloat16
from minimamba.ops.recurrence import blelloch, hillis_steele, sequential
from minimamba.ops.selective.naive import SelectiveScanInputs
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward

SHAPES = (  # b, l, e, n
    (8, 2048, 2048, 16),
    (2048, 50, 128, 32),
    (2048, 200, 128, 32),
    (1, 65536, 1024, 16),
)
GOALS = {("forward", SHAPES[0]): 0.23, ("backward", SHAPES[0]): 0.95}  # ms, bfloat16, H200
PAST_THE_CACHE = 2**28  # bytes that a round of calls must touch: several times a cache
COPY_BYTES = 2**30
EXPONENTIALS_A_CYCLE = 16  # on each multiprocessor
BUSY = """extern "C" __global__ void busy(long long cycles) {
    const long long begin = clock64();
    while (clock64() - begin < cycles) {}
}"""


class Row(NamedTuple):
    """One line of the table; times in milliseconds."""

    what: str
    memory: str
    shape: tuple
    median: float
    fastest: float
    wall: float
    rounds: int
    floor: float | None = None


class Device(NamedTuple):
    """What limits a kernel, and how to measure on this device."""

    cupy: ModuleType
    copied: float  # bytes a second of a device copy, reads and writes together
    exponentials: float  # a second, at the top clock
    clock: int  # kHz


def open_device():
    """Measure the copy bandwidth; look up the rest."""
    import cupy

    get, here = cupy.cuda.runtime.deviceGetAttribute, cupy.cuda.Device().id
    clock = get(cupy.cuda.runtime.cudaDevAttrClockRate, here)
    count = get(cupy.cuda.runtime.cudaDevAttrMultiProcessorCount, here)
    device = Device(cupy, 0.0, EXPONENTIALS_A_CYCLE * count * clock * 1000.0, clock)
    source = cupy.ones(COPY_BYTES // 4, cupy.float32)
    target = cupy.empty_like(source)
    copy = timed(device, [lambda: cupy.copyto(target, source)], 0.5)
    return device._replace(copied=2 * source.nbytes / (copy["median"] / 1000))


def timed(device, calls, seconds=1.0, most=200):
    """Return median, fastest and wall milliseconds of a call, and how often it ran.

    `calls` are alike but for their inputs. A call that takes long runs less often, once at least.
    """
    for call in calls:
        call()  # compile, fill the memory pool
    host = min(_host_seconds(device, call) for call in calls)
    times, began = [], time.perf_counter()
    while not times or (len(times) < most and time.perf_counter() - began < seconds):
        times.append(_once(device, calls[len(times) % len(calls)], 1.5 * host + 1e-4))
    wall = _wall(device, calls, min(len(times), 20))
    return {
        "median": statistics.median(times),
        "fastest": min(times),
        "wall": wall,
        "rounds": len(times),
    }


def _host_seconds(device, call):
    """Return what the host needs to hand a call to the device, without waiting for it."""
    _wait(device)
    began = time.perf_counter()
    kept = call()
    spent = time.perf_counter() - began
    _wait(device)
    del kept
    return spent


def _once(device, call, ahead):
    """Return the milliseconds between two events, the device being busy while they are queued."""
    start, stop = device.cupy.cuda.Event(), device.cupy.cuda.Event()
    cycles = int(min(ahead, 0.01) * device.clock * 1000)
    _busy(device.cupy)((1,), (1,), (np.int64(cycles),))
    start.record()
    kept = call()
    stop.record()
    stop.synchronize()
    del kept
    return device.cupy.cuda.get_elapsed_time(start, stop)


def _wall(device, calls, rounds):
    """Return the milliseconds of each of several calls in a row, as a caller sees them."""
    _wait(device)
    began = time.perf_counter()
    for i in range(rounds):
        calls[i % len(calls)]()
    _wait(device)
    return 1000 * (time.perf_counter() - began) / rounds


def _wait(device):
    device.cupy.cuda.get_current_stream().synchronize()


@functools.cache
def _busy(cupy):
    return cupy.RawModule(code=BUSY, options=("--std=c++17",)).get_function("busy")


def problem(cupy, shape, memory, seed):
    """Return (inputs, dy) of a selective scan on the device."""
    b, l, e, n = shape
    rng = cupy.random.RandomState(seed)

    def weight(*sizes, shift=0):
        return rng.standard_normal(sizes, dtype=cupy.float32) + cupy.float32(shift)

    def normal(*sizes, **more):
        x = weight(*sizes, **more)
        return to_bfloat16(x) if memory == "bfloat16" else x

    x = SelectiveScanInputs(
        u=normal(b, l, e),
        delta=normal(b, l, e, shift=-2),
        A=-cupy.exp(weight(e, n)),
        B=normal(b, l, n),
        C=normal(b, l, n),
        D=weight(e),
        z=normal(b, l, e),
        delta_bias=weight(e) / cupy.float32(10),
    )
    return x, normal(b, l, e)


def floor(shape, itemsize, backward, device):
    """Return the least milliseconds a pass can take: by its bytes or by its exponentials."""
    moved, exponentials = work(shape, itemsize, backward)
    return 1000 * max(moved / device.copied, exponentials / device.exponentials)


def work(shape, itemsize, backward):
    """Return (bytes that must move, exponentials) of a pass.

    Forward: u, delta, z in, y out; backward: dy in, du, ddelta, dz out beside u, delta, z. B and C,
    and backward their gradients. An exponential each state-step; softplus and gates 4 or 6 more
    an element.

    Examples
    --------
    >>> work((8, 2048, 2048, 16), 2, backward=False)
    (269484032, 671088640)
    """
    b, l, e, n = shape
    elements, matrices = b * l * e, 2 * b * l * n
    tensors, each = (7, 6) if backward else (4, 4)
    moved = (tensors * elements + (2 if backward else 1) * matrices) * itemsize
    return moved, elements * (n + each)


def fused_rows(device, shape, memory, seconds=1.5):
    """Return the rows of the fused scan at one shape, forward and backward."""
    b, l, e, _ = shape
    size = 4 if memory == "float32" else 2
    copies = int(np.clip(-(-PAST_THE_CACHE // (4 * b * l * e * size)), 1, 4))
    problems = [problem(device.cupy, shape, memory, seed) for seed in range(copies)]
    forward = [lambda x=x: selective.forward(x, delta_softplus=True) for x, _ in problems]
    caches = [call()[2] for call in forward]
    pairs = zip(problems, caches, strict=True)
    backward = [lambda dy=dy, c=c: selective.backward(dy, None, c) for (_, dy), c in pairs]
    rows = []
    for what, calls, back in [("forward", forward, False), ("backward", backward, True)]:
        least = floor(shape, size, back, device)
        rows.append(Row(what, memory, shape, **timed(device, calls, seconds), floor=least))
    return rows


def array_rows(device, shape):
    """Return the rows of the fused scan, and of the same scan in array code."""
    rows = fused_rows(device, shape, "float32", 0.3)
    x, dy = problem(device.cupy, shape, "float32", 0)
    with using(enabled=False):
        cache = selective_scan(*x, delta_softplus=True)[2]
        calls = {
            "forward, array code": lambda: selective_scan(*x, delta_softplus=True),
            "backward, array code": lambda: selective_scan_backward(dy, None, cache),
        }
        for name, call in calls.items():
            rows.append(Row(name, "float32", shape, **timed(device, [call], 0.5, most=5)))
    return rows


def recurrence_rows(device, shape, schedules):
    """Return the row of every way, of {name: schedule}, to h_t = a_t h_{t-1} + b_t."""
    cupy, size = device.cupy, 8 * int(np.prod(shape))
    draw = [
        cupy.random.RandomState(seed).standard_normal(shape, dtype=cupy.float32)
        for seed in range(int(np.clip(-(-PAST_THE_CACHE // size), 1, 8)))
    ]
    h0 = cupy.zeros((shape[0], *shape[2:]), cupy.float32)
    decay = cupy.full(shape, 0.9, cupy.float32)
    least = 1000 * 1.5 * size / device.copied  # a, b in and h out
    rows = []
    for name, run in schedules.items():
        taken = timed(device, [lambda run=run, b=b: run(decay, b, h0) for b in draw], 0.3)
        rows.append(Row(name, "float32", shape, **taken, floor=least))
    return rows


def ladder_rows(device, shape):
    """Return the rows of the teaching ladder; one row of the array is too serial for `serial`."""
    rungs = (scan.serial, scan.hillis_steele, scan.blelloch, scan.warp, scan.block, scan.grid)
    rungs = rungs[1:] if shape[0] * shape[2] == 1 else rungs
    return recurrence_rows(device, shape, {f"kernel {rung.__name__}": rung for rung in rungs})


def array_ladder_rows(device, shape):
    """Return the rows of the schedules in array code."""
    ways = (sequential, hillis_steele, blelloch)
    return recurrence_rows(device, shape, {f"array {way.__name__}": way for way in ways})
