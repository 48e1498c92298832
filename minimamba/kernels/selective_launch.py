"""Plans and launches the fused selective scan of up to 64 states: one forward, one backward.

`selective` is the way in; it also knows what to do with more states.
"""

from typing import NamedTuple

import numpy as np

from minimamba.arrays import Array, array_namespace
from minimamba.dispatch import settings
from minimamba.kernels.bfloat16 import to_bfloat16
from minimamba.kernels.compile import as_pointer, load, loader
from minimamba.ops.selective.blocks import SelectiveScanInputs

CHECKPOINT = 8  # steps between the states that are kept
MOST_STATES = 64  # more need more registers than there are
ENOUGH_BLOCKS = 132  # with fewer, time is cut into segments; unmeasured
WANTED_BLOCKS = 528
SHORTEST_SEGMENT = 256  # steps
SEQUENCES = ("u", "delta", "B", "C", "z")
FORWARD = ("common.cu", "lanes.cu", "selective_scan.cu")
BACKWARD = ("common.cu", "lanes.cu", "selective_scan_backward.cu")
SEGMENTS = ("common.cu", "lanes.cu", "selective_scan_segments.cu")


class KernelCache(NamedTuple):
    """What `backward` needs: the inputs, and the state every few steps."""

    inputs: SelectiveScanInputs
    h0: Array | None  # (b, e, n)
    checkpoint: Array  # (b, ceil(l / 8), ceil(e / 32), n, 32)


class Shape(NamedTuple):
    """How one kernel divides the states: so many a lane, in so many warps; steps of a tile."""

    states: int
    per_lane: int
    tile: int

    @property
    def warps(self):
        return -(-self.states // self.per_lane)

    def options(self, dtype):
        sizes = {"STATES": self.states, "STATES_PER_LANE": self.per_lane, "TILE": self.tile}
        flags = tuple(f"-D{name}={value}" for name, value in sizes.items())
        half = ("-DIO_BF16",) if dtype == np.uint16 else ()
        return (*flags, f"-DK={CHECKPOINT}", *half)


def forward_shape(n):
    """Return the `Shape` of the forward kernel; shared memory bounds warps times steps."""
    per_lane = 2 if n <= 2 else 4 if n <= 16 else 8
    warps = -(-n // per_lane)
    return Shape(n, per_lane, 8 if warps == 1 else 32 if warps in (3, 4) else 16)


def segment_shape(n):
    """Return the `Shape` of the kernels of `selective_scan_segments.cu`."""
    shape = forward_shape(n)
    return shape._replace(tile=min(16, shape.tile))


def backward_shape(n, capability=90, deterministic=False):
    """Return the `Shape` of the backward kernel; a tile is one checkpoint interval.

    Eight states a lane cost the fewest instructions. They fit the registers of Hopper; those of
    Ampere and Blackwell, and where each block has its own dB and dC, they would not.
    """
    most = 8 if (capability == 90 and not deterministic) or n > 32 else 4
    return Shape(n, 2 if n <= 2 else 4 if n <= 4 else most, CHECKPOINT)


def forward(x, h0=None):
    """Run Eqs. (7.1) to (7.5); like `selective.forward`, for at most 64 states."""
    x = contiguous(x)
    xp, (b, l, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    shape, (count, steps) = forward_shape(n), cut_time(b, l, e)
    h0 = as_pointer(h0, xp, np.float32)
    y, h_last = xp.empty_like(x.u), xp.empty((b, e, n), np.float32)
    checkpoint = xp.empty((b, -(-l // CHECKPOINT), -(-e // 32), n, 32), np.float32)
    start = h0
    if count > 1:
        start = segment_starts("selective_scan_ends", (x.u, x.B), x, h0, count, steps)
    kernel = load(FORWARD, shape.options(x.u.dtype)).get_function("selective_scan_forward")
    args = (*x[:8], start, y, h_last, checkpoint, *sizes(x, steps))
    kernel(grid(b, e, count), (32 * shape.warps,), args)
    return y, h_last, KernelCache(x, h0, checkpoint)


def backward(dy, dh_last, cache):
    """Pull dy and dh_last back, Eqs. (7.6) to (7.10); like `selective.backward`."""
    x, h0, checkpoint = cache
    xp, (b, l, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    deterministic, (count, steps) = settings().deterministic, cut_time(b, l, e)
    shape = backward_shape(n, loader().capability(), deterministic)
    dy, start = as_pointer(dy, xp, x.u.dtype), as_pointer(dh_last, xp, np.float32)
    if count > 1:
        name, pair = "selective_scan_adjoint_ends", (dy, x.C)
        start = segment_starts(name, pair, x, start, count, steps)
    options, blocks = shape.options(x.u.dtype), -(-e // 32)
    one_share = (1, b, l, n)
    if deterministic:
        options, one_share = (*options, "-DDETERMINISTIC"), (blocks, b, l, n)
    du, ddelta, dz = (None if v is None else xp.empty_like(v) for v in (x.u, x.delta, x.z))
    dB, dC = xp.zeros(one_share, np.float32), xp.zeros(one_share, np.float32)
    dA = xp.empty((count, b, e, n), np.float32)
    dD, dbias = xp.empty((count, b, e), np.float32), xp.empty((count, b, e), np.float32)
    dh0 = None if h0 is None else xp.empty_like(h0)
    kernel = load(BACKWARD, options).get_function("selective_scan_backward")
    results = (du, ddelta, dz, dA, dB, dC, dD, dbias, dh0)
    args = (*x[:8], checkpoint, dy, start, *results, *sizes(x, steps))
    kernel(grid(b, e, count), (32 * shape.warps,), args)
    dB, dC = (like_input(m.sum(axis=0) if m.shape[0] > 1 else m[0], x.B) for m in (dB, dC))
    dA, dD, dbias = dA.sum(axis=(0, 1)), dD.sum(axis=(0, 1)), dbias.sum(axis=(0, 1))
    dD, dbias = None if x.D is None else dD, None if x.delta_bias is None else dbias
    return du, ddelta, dA, dB, dC, dD, dz, dbias, dh0


def cut_time(b, l, e):
    """Return (segments, steps of a segment): one unless the blocks would leave the GPU idle."""
    blocks = -(-e // 32) * b
    count = 1
    if 0 < blocks < ENOUGH_BLOCKS:
        count = max(1, min(-(-WANTED_BLOCKS // blocks), l // SHORTEST_SEGMENT))
    steps = max(32, -(-l // (32 * count)) * 32)  # whole tiles
    return max(1, -(-l // steps)), steps


def segment_starts(name, pair, x, start, count, steps):
    """Return the state (or adjoint state) that enters each segment, (segments, b, e, n)."""
    xp, (b, _, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    shape = segment_shape(n)
    module = load(SEGMENTS, shape.options(x.u.dtype))
    ends, sums = xp.empty((count, b, e, n), np.float32), xp.empty((count, b, e), np.float32)
    moving, matrix = pair
    adjoint = name == "selective_scan_adjoint_ends"
    gate = (x.z,) if adjoint else ()
    args = (moving, x.delta, x.A, matrix, *gate, x.delta_bias, ends, sums, *sizes(x, steps))
    module.get_function(name)(grid(b, e, count), (32 * shape.warps,), args)
    args = (x.A, sums, start, ends, *map(np.int32, (e, b * e * n, count, adjoint)))
    module.get_function("selective_scan_carry")((-(-b * e * n // 128),), (128,), args)
    return ends


def grid(b, e, count):
    """Return the launch grid: blocks of 32 channels of all sequences, then segments."""
    return (-(-e // 32) * b, count)


def sizes(x, steps):
    """Return the scalars every kernel ends with: e, l, steps of a segment, softplus or not."""
    (_, l, e) = x.u.shape
    return tuple(map(np.int32, (e, l, steps, bool(x.delta_softplus))))


def contiguous(x):
    """Return the inputs as the kernels want them."""
    xp, dtype = array_namespace(x.u), x.u.dtype
    ready = {
        name: as_pointer(getattr(x, name), xp, dtype if name in SEQUENCES else np.float32)
        for name in x._fields[:8]
    }
    return x._replace(**ready)


def like_input(dm, m):
    """Return a float32 gradient in the type of its input."""
    return to_bfloat16(dm) if m.dtype == np.uint16 else dm
