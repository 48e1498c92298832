"""How a selective scan is cut up, and the memory it works in.

Two sizes matter to a processor's caches. A *chunk* is a few time steps of a few batch rows: its
work arrays, which hold states, stay about within the second-level cache. A *tile* is some chunks of
those rows that share one preparation of their sequences, which are n times smaller than their
states; its arrays are small enough for the C library to hand out again the memory it got back.
"""

from math import ceil, prod
from typing import NamedTuple

from minimamba.arrays import Array
from minimamba.ops.selective.memory import aligned_empty, padded, room, split

STATE_BYTES = 64 << 10  # the states of one time step of a chunk
CHUNK_BYTES = 768 << 10  # one work array of a chunk; larger ones are slower in a cache of 2 MiB
TILE_BYTES = 112 << 10  # one sequence of a tile; from 128 KiB on, glibc maps new memory


class Plan(NamedTuple):
    """The sizes of a tile and of a chunk."""

    rows: int  # batch rows of both
    span: int  # time steps of a tile
    steps: int  # time steps of a chunk


class Memory(NamedTuple):
    """Bytes that a selective scan allocates beyond its inputs and outputs."""

    borders: int  # kept for the backward: one state for every chunk
    forward: int  # at most, beside the borders, while the forward runs
    backward: int  # at most, while the backward runs


class Work(NamedTuple):
    """The memory of one chunk, used again by every chunk: flat, or as `fit` shapes it."""

    steps: int
    a: Array  # decays of a chunk
    h: Array  # its states, and the one before it
    g: Array | None  # its adjoint states
    state: Array  # one state


def plan(b, l, n, e, itemsize):
    """Return the Plan for these sizes; chunks are of like length."""
    state = max(1, n * e * itemsize)
    rows = max(1, min(b, STATE_BYTES // state))
    longest = max(1, CHUNK_BYTES // (rows * state))
    steps = max(1, ceil(l / max(1, ceil(l / longest))))
    together = max(1, TILE_BYTES // max(1, rows * steps * e * itemsize))
    return Plan(rows, together * steps, steps)


def memory(b, l, n, e, itemsize):
    """Return what a scan of these sizes allocates, Memory; nothing in it grows like l n e.

    A work array holds rows x steps states, at most 768 KiB (`plan`) or one step: the forward has
    two of them, the backward three, cut from one `room`. Beside them a tile has some 10 arrays
    of the size of its part of u in the forward and 23 in the backward, and a few of the size of B.
    The borders grow with l, but `steps` times more slowly than the states would.
    """
    rows, span, steps = plan(b, l, n, e, itemsize)
    state, tile = n * e * itemsize, rows * min(l, span) * itemsize
    work, few = rows * steps * state, 8 * tile * n + 3 * rows * state
    borders = (len(slices(l, steps)) + 1) * b * state
    forward = room(2 * work + 2 * rows * state)[0] + 10 * tile * e + few
    backward = room(3 * work + 2 * rows * state)[0] + 23 * tile * e + few + b * state
    return Memory(borders, forward, backward)


def slices(total, size):
    """Return the slices of at most `size` that cover range(total), in order."""
    return [slice(i, min(i + size, total)) for i in range(0, total, size)]


def walk(b, l, plan):
    """Return (rows, time, borders) of every tile, as slices; time runs fastest.

    `borders` are the places, among all borders of chunks, of those of the tile, both ends included.
    """
    spans = [
        (span, slice(span.start // plan.steps, ceil(span.stop / plan.steps) + 1))
        for span in slices(l, plan.span)
    ]
    return [(row, *span) for row in slices(b, plan.rows) for span in spans]


def allocate(xp, plan, n, e, dtype, adjoint):
    """Return the work arrays of one chunk, cut from one array."""
    state = plan.rows * n * e
    sizes = [plan.steps * state, (plan.steps + 1) * state, state, adjoint * plan.steps * state]
    a, h, one_state, g = split(aligned_empty(xp, padded(sizes, dtype), dtype), sizes)
    return Work(plan.steps, a, h, g if adjoint else None, one_state)


def fit(work, shape):
    """Return the work arrays in the shapes of full chunks of states of this shape, (r, n, e).

    The last rows of a batch may be fewer than there is room for.
    """
    size, steps = prod(shape), work.steps
    a, h = work.a[: steps * size], work.h[: (steps + 1) * size]
    g = None if work.g is None else work.g[: steps * size].reshape(steps, *shape)
    state = work.state[:size].reshape(shape)
    return Work(steps, a.reshape(steps, *shape), h.reshape(steps + 1, *shape), g, state)
