"""The fused selective scan on the GPU, for any number of states.

float32 throughout; or bfloat16 (see `bfloat16`) for u, delta, B, C, z, y and their gradients, with
A, D, delta_bias, the states and all arithmetic in float32.

One launch takes up to 64 states. More are run in groups of 64: the output is linear in the states,
so the groups' shares of C h add up, and skip and gate come once, at the end.
"""

from typing import NamedTuple

import numpy as np

from minimamba.arrays import Array, array_namespace
from minimamba.dispatch import settings
from minimamba.kernels.bfloat16 import as_bits, as_given, check_types, from_bfloat16, to_bfloat16
from minimamba.kernels.compile import as_pointer, load, loader
from minimamba.ops._checks import check_shapes
from minimamba.ops.elementwise import silu, silu_backward
from minimamba.ops.selective.naive import AXES, SelectiveScanGrads, SelectiveScanInputs

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
    raw: Array | None  # (b, l, e), delta where softplus is taken of it; None without softplus


class GroupedCache(NamedTuple):
    """What `backward` needs when the states were run in groups."""

    inputs: SelectiveScanInputs
    groups: tuple[KernelCache, ...]  # one a group of states
    skipped: Array  # (b, l, e): the output before the gate


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


def forward(x, h0=None, delta_softplus=False):
    """Run the selective scan on the GPU, Eqs. (7.1) to (7.5).

    Parameters
    ----------
    x : SelectiveScanInputs
        float32 arrays of one device; or bfloat16 numbers, or their bits as uint16, for u, delta, B,
        C and z.
    h0 : array, shape (b, e, n), optional
    delta_softplus : bool

    Returns
    -------
    y : array, shape (b, l, e), of the type of u
    h_last : array, shape (b, e, n), float32
    cache : KernelCache or GroupedCache

    Examples
    --------
    bfloat16 on a GPU, with nothing copied on the way in or out::

        half = lambda v: cupy.asarray(v, dtype=ml_dtypes.bfloat16)
        x = SelectiveScanInputs(half(u), half(delta), A, half(B), half(C), D, half(z), bias)
        y, h_last, cache = selective.forward(x, delta_softplus=True)
        grads = selective.backward(half(dy), None, cache)
    """
    y, h_last, cache = _forward(_each_sequence(as_bits, x), h0, delta_softplus)
    return as_given(y, x.u), h_last, cache


def _forward(x, h0, delta_softplus):
    if x.u.dtype not in (np.float32, np.uint16):
        raise TypeError(f"u has dtype {x.u.dtype}, the kernel takes float32 or bfloat16 bits")
    check_types("u", x.u, **{name: getattr(x, name) for name in SEQUENCES})
    if x.u.dtype == np.uint16:
        check_shapes(x._asdict() | dict(h0=h0), AXES, sources=("u", "A"))
    if x.u.size == 0:
        return _forward_of_nothing(x, h0)
    fits = x.A.shape[1] <= MOST_STATES
    return (_launch_forward if fits else _forward_in_groups)(x, h0, delta_softplus)


def backward(dy, dh_last, cache):
    """Pull dy and dh_last back through `forward`, Eqs. (7.6) to (7.10).

    Parameters
    ----------
    dy : array, shape (b, l, e)
        Of the type of y.
    dh_last : array, shape (b, e, n), or None
    cache : KernelCache or GroupedCache

    Returns
    -------
    grads : SelectiveScanGrads
        Each of the type of its input.
    """
    return as_given(_backward(as_bits(dy), dh_last, cache), dy)


def _backward(dy, dh_last, cache):
    x = cache.inputs
    check_types("u", x.u, dy=dy)
    if dy.dtype == np.uint16:
        given = dict(u=x.u, A=x.A, dy=dy, dh_last=dh_last)
        check_shapes(given, dict(u="ble", A="en", dy="ble", dh_last="ben"), sources=("u", "A"))
    if dy.size == 0:
        return _backward_of_nothing(dh_last, cache)
    grouped = isinstance(cache, GroupedCache)
    return (_backward_in_groups if grouped else _launch_backward)(dy, dh_last, cache)


def _forward_of_nothing(x, h0):
    """Return the results for empty sequences: the state passes through."""
    xp, (b, _, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    h_last = xp.zeros((b, e, n), np.float32) if h0 is None else h0.copy()
    return xp.empty_like(x.u), h_last, KernelCache(x, h0, xp.empty((b, 0, n, e), np.float32), None)


def _backward_of_nothing(dh_last, cache):
    """Return the gradients of empty sequences: that of the state passes through."""
    x, h0, *_ = cache
    xp = array_namespace(x.u)
    zeros = (None if v is None else xp.zeros_like(v) for v in (*x, h0))
    grads = SelectiveScanGrads(*zeros)
    return grads if h0 is None or dh_last is None else grads._replace(h0=dh_last.copy())


def _forward_in_groups(x, h0, delta_softplus):
    """Run every group of states without skip and gate; add up, skip and gate once."""
    xp, wide = array_namespace(x.u), _each_sequence(_as_float32, x)
    ys, hs, caches = zip(
        *(
            _launch_forward(_states(wide, group), _of(group, h0), delta_softplus)
            for group in _groups(x)
        ),
        strict=True,
    )
    skipped = sum(ys) if x.D is None else sum(ys) + x.D * wide.u
    y = skipped if x.z is None else skipped * silu(wide.z)[0]
    return _like(y, x.u), xp.concatenate(hs, axis=2), GroupedCache(x, caches, skipped)


def _backward_in_groups(dy, dh_last, cache):
    """Pull back through gate and skip once, and through every group of states."""
    x, wide = cache.inputs, _each_sequence(_as_float32, cache.inputs)
    xp, dy, dz, dD = array_namespace(dy), _as_float32(dy), None, None
    if x.z is not None:
        gate, saved = silu(wide.z)
        dz = _like(silu_backward(dy * cache.skipped, saved), x.z)
        dy = dy * gate
    pairs = zip(_groups(x), cache.groups, strict=True)
    grads = [_launch_backward(dy, _of(group, dh_last), part) for group, part in pairs]
    du, ddelta, dA, dB, dC, _, _, dbias, dh0 = zip(*grads, strict=True)
    du, ddelta = sum(du), sum(ddelta)
    if x.D is not None:
        du, dD = du + x.D * dy, (dy * wide.u).sum(axis=(0, 1))
    dbias = None if x.delta_bias is None else sum(dbias)
    dA, dB, dC = (xp.concatenate(parts, axis=-1) for parts in (dA, dB, dC))
    dh0 = None if dh0[0] is None else xp.concatenate(dh0, axis=2)
    du, ddelta, dB, dC = (_like(v, x.u) for v in (du, ddelta, dB, dC))
    return SelectiveScanGrads(du, ddelta, dA, dB, dC, dD, dz, dbias, dh0)


def _groups(x):
    n = x.A.shape[1]
    return [slice(i, min(i + MOST_STATES, n)) for i in range(0, n, MOST_STATES)]


def _states(x, group):
    """Return the problem of one group of states, without skip and gate."""
    return x._replace(A=x.A[:, group], B=x.B[..., group], C=x.C[..., group], D=None, z=None)


def _of(group, h):
    return None if h is None else h[..., group]


def _launch_forward(x, h0, delta_softplus):
    x = _contiguous(x)
    xp, (b, l, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    shape, (count, steps) = forward_shape(n), cut_time(b, l, e)
    scalars = _scalars(x, steps, delta_softplus)
    h0 = as_pointer(h0, xp, np.float32)
    y, h_last = xp.empty_like(x.u), xp.empty((b, e, n), np.float32)
    checkpoint = xp.empty((b, -(-l // CHECKPOINT), -(-e // 32), n, 32), np.float32)
    start = h0
    if count > 1:
        start = segment_starts("selective_scan_ends", (x.u, x.B), x, h0, count, scalars)
    kernel = load(FORWARD, shape.options(x.u.dtype)).get_function("selective_scan_forward")
    args = (*x, start, y, h_last, checkpoint, *scalars)
    kernel(_grid(b, e, count), (32 * shape.warps,), args)
    return y, h_last, KernelCache(x, h0, checkpoint, x.delta if delta_softplus else None)


def _launch_backward(dy, dh_last, cache):
    x, h0, checkpoint, raw = cache
    xp, (b, l, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    deterministic, (count, steps) = settings().deterministic, cut_time(b, l, e)
    scalars = _scalars(x, steps, raw is not None)
    shape = backward_shape(n, loader().capability(), deterministic)
    dy, start = as_pointer(dy, xp, x.u.dtype), as_pointer(dh_last, xp, np.float32)
    if count > 1:
        name, pair = "selective_scan_adjoint_ends", (dy, x.C)
        start = segment_starts(name, pair, x, start, count, scalars)
    options, shares = shape.options(x.u.dtype), (1, b, l, n)
    if deterministic:
        options, shares = (*options, "-DDETERMINISTIC"), (-(-e // 32), b, l, n)
    grads = _unwritten_grads(x, h0, count, shares)
    du, ddelta, dA, dB, dC, dD, dz, dbias, dh0 = grads
    results = (du, ddelta, dz, dA, dB, dC, dD, dbias, dh0)
    kernel = load(BACKWARD, options).get_function("selective_scan_backward")
    args = (*x, checkpoint, dy, start, *results, *scalars)
    kernel(_grid(b, e, count), (32 * shape.warps,), args)
    dB, dC = (_like(m.sum(axis=0) if len(m) > 1 else m[0], x.B) for m in (dB, dC))
    dA, dD, dbias = (m.sum(axis=(0, 1)) for m in (dA, dD, dbias))
    dD, dbias = None if x.D is None else dD, None if x.delta_bias is None else dbias
    return grads._replace(A=dA, B=dB, C=dC, D=dD, delta_bias=dbias)


def _unwritten_grads(x, h0, count, shares):
    """Return memory for what a launch writes: sums over rows and segments are still to be taken."""
    xp, (b, _, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    du, ddelta, dz, dh0 = (None if v is None else xp.empty_like(v) for v in (*x[:2], x.z, h0))
    dA = xp.empty((count, b, e, n), np.float32)
    dB, dC = xp.zeros(shares, np.float32), xp.zeros(shares, np.float32)
    dD, dbias = xp.empty((count, b, e), np.float32), xp.empty((count, b, e), np.float32)
    return SelectiveScanGrads(du, ddelta, dA, dB, dC, dD, dz, dbias, dh0)


def cut_time(b, l, e):
    """Return (segments, steps of a segment): one unless the blocks would leave the GPU idle."""
    blocks = -(-e // 32) * b
    count = 1
    if 0 < blocks < ENOUGH_BLOCKS:
        count = max(1, min(-(-WANTED_BLOCKS // blocks), l // SHORTEST_SEGMENT))
    steps = max(32, -(-l // (32 * count)) * 32)  # whole tiles
    return max(1, -(-l // steps)), steps


def segment_starts(name, pair, x, start, count, scalars):
    """Return the state (or adjoint state) that enters each segment, (segments, b, e, n)."""
    xp, (b, _, e), n = array_namespace(x.u), x.u.shape, x.A.shape[1]
    shape = segment_shape(n)
    module = load(SEGMENTS, shape.options(x.u.dtype))
    ends, sums = xp.empty((count, b, e, n), np.float32), xp.empty((count, b, e), np.float32)
    moving, matrix = pair
    adjoint = name == "selective_scan_adjoint_ends"
    gate = (x.z,) if adjoint else ()
    args = (moving, x.delta, x.A, matrix, *gate, x.delta_bias, ends, sums, *scalars)
    module.get_function(name)(_grid(b, e, count), (32 * shape.warps,), args)
    args = (x.A, sums, start, ends, *map(np.int32, (e, b * e * n, count, adjoint)))
    module.get_function("selective_scan_carry")((-(-b * e * n // 128),), (128,), args)
    return ends


def _grid(b, e, count):
    """Return the launch grid: blocks of 32 channels of all sequences, then segments."""
    return (-(-e // 32) * b, count)


def _scalars(x, steps, delta_softplus):
    """Return the scalars every kernel ends with: e, l, steps of a segment, softplus or not."""
    (_, l, e) = x.u.shape
    return tuple(map(np.int32, (e, l, steps, bool(delta_softplus))))


def _contiguous(x):
    """Return the inputs as the kernels want them."""
    xp, dtype = array_namespace(x.u), x.u.dtype
    ready = {
        name: as_pointer(getattr(x, name), xp, dtype if name in SEQUENCES else np.float32)
        for name in x._fields
    }
    return x._replace(**ready)


def _each_sequence(f, x):
    """Return the inputs with f applied to those that may be bfloat16; None stays None."""
    there = {name: v for name in SEQUENCES if (v := getattr(x, name)) is not None}
    return x._replace(**{name: f(v) for name, v in there.items()})


def _as_float32(x):
    return from_bfloat16(x) if x.dtype == np.uint16 else x


def _like(dm, m):
    """Return a float32 result in the type of what it belongs to."""
    return to_bfloat16(dm) if m.dtype == np.uint16 else dm
