"""The linear recurrence under every state space model, h_t = a_t h_{t-1} + b_t, and its adjoint.

Real and complex. The gradient of a complex number is that of PyTorch: dL/d(re) + i dL/d(im), so
that a factor meets the gradient conjugated, Eq. (3.5). Time is axis 1; to run it from the end,
pass views reversed along that axis and reverse the result.

In which order the work is done is said by a schedule, a function `schedule(a, b, h0) -> h`. All
return the same states, up to the rounding that Eq. (4.8) bounds. On a CPU `sequential` is the fast
one; the others exist because a machine with thousands of lanes wants a shorter chain of dependent
operations.
"""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.ops._checks import check_floating, overflow_is_inf


class RecurrenceCache(NamedTuple):
    """What `recurrence_backward` needs."""

    a: Array  # (b, l, ...)
    h0: Array  # (b, ...)
    h: Array  # (b, l, ...)


def sequential(a, b, h0):
    """Return every state, one step at a time, Eq. (3.1).

    Parameters
    ----------
    a, b : array, shape (b, l, ...)
        Decay and drive of every step.
    h0 : array, shape (b, ...)
        State before the first step.

    Returns
    -------
    h : array, shape (b, l, ...)
        State after every step.

    Examples
    --------
    >>> sequential(np.full((1, 3), 0.5), np.ones((1, 3)), np.zeros(1))
    array([[1.  , 1.5 , 1.75]])
    """
    xp = array_namespace(b)
    h = xp.empty_like(b)
    for t in range(b.shape[1]):
        decayed = xp.multiply(a[:, t], h0, out=h[:, t])
        h0 = xp.add(decayed, b[:, t], out=decayed)
    return h


def recurrence(a, b, h0, schedule=sequential):
    """Run h_t = a_t h_{t-1} + b_t over axis 1, Eq. (3.1).

    Parameters
    ----------
    a, b : array, shape (b, l, ...)
        Decay and drive of every step, real or complex.
    h0 : array, shape (b, ...)
        State before the first step; pass the last state of one segment to continue it.
    schedule : callable
        In which order to work: `sequential`, `hillis_steele`, `blelloch`, or `chunked(k)`.

    Returns
    -------
    h : array, shape (b, l, ...)
        State after every step; inf where |a| > 1 made it overflow.
    cache : RecurrenceCache

    See Also
    --------
    recurrence_backward, recurrence_step, work_and_depth

    Examples
    --------
    >>> a, b = np.full((1, 3), 0.5), np.ones((1, 3))
    >>> recurrence(a, b, h0=np.zeros(1))[0]
    array([[1.  , 1.5 , 1.75]])
    """
    check_floating({"a": a, "b": b, "h0": h0}, kinds="fc")
    _check(a, b, h0)
    with overflow_is_inf(array_namespace(a, b, h0)):
        h = schedule(a, b, h0)
    return h, RecurrenceCache(a, h0, h)


def recurrence_backward(dh, cache, schedule=sequential):
    """Pull dh back: the same recurrence, run from the end, Eqs. (3.3) to (3.5).

    Parameters
    ----------
    dh : array, shape (b, l, ...)
        Gradient of every state.
    cache : RecurrenceCache
    schedule : callable
        Any schedule serves, whichever the forward took: the adjoint is a recurrence too.

    Returns
    -------
    da, db : array, shape (b, l, ...)
    dh0 : array, shape (b, ...)

    Examples
    --------
    >>> h, cache = recurrence(np.full((1, 3), 0.5), np.ones((1, 3)), np.zeros(1))
    >>> da, db, dh0 = recurrence_backward(np.array([[0.0, 0.0, 1.0]]), cache)
    >>> da, db, dh0                                 # the last state alone is read
    (array([[0. , 0.5, 1.5]]), array([[0.25, 0.5 , 1.  ]]), array([0.125]))
    """
    a, h0, h = cache
    check_floating({"h": h, "dh": dh}, kinds="fc")
    if dh.shape != h.shape:
        raise ValueError(f"dh has shape {dh.shape}, expected that of the states, {h.shape}")
    xp = array_namespace(dh, a)
    a = a.conj()
    later = xp.concatenate([a[:, 1:], xp.ones_like(a[:, :1])], axis=1)[:, : a.shape[1]]
    with overflow_is_inf(xp):
        g = schedule(later[:, ::-1], dh[:, ::-1], xp.zeros_like(h0))[:, ::-1]  # Eq. (3.3)
        before = xp.concatenate([h0[:, None], h], axis=1)[:, : h.shape[1]]
        da = g * before.conj()  # Eq. (3.4)
        dh0 = (a[:, :1] * g[:, :1]).sum(axis=1)  # the one term there is, or none if l = 0
    return da, g, dh0


def recurrence_step(a_t, b_t, h):
    """Return the state after one more step, Eq. (3.1); output and state are the same thing.

    Parameters
    ----------
    a_t, b_t, h : array, shape (b, ...)
        Decay and drive of this step, and the state before it.

    Returns
    -------
    h : array, shape (b, ...)

    Examples
    --------
    >>> recurrence_step(np.array([0.5]), np.array([1.0]), np.array([1.5]))
    array([1.75])
    """
    return a_t * h + b_t


identity = (1, 0)  # combine(identity, x) == x == combine(x, identity), Eq. (4.2)


def combine(earlier, later):
    """Return the one step that does what two steps do: (a, b) o (a', b') = (a' a, a' b + b').

    The operator of Eq. (4.1). A step takes h to a h + b; `later` is applied to what `earlier`
    returns. It is associative, Eq. (4.2), but does not commute.

    Parameters
    ----------
    earlier, later : pair of arrays or numbers
        Decay and drive of each step.

    Returns
    -------
    pair of arrays

    Examples
    --------
    >>> combine((2.0, 1.0), (3.0, 5.0))             # 3 (2 h + 1) + 5 = 6 h + 8
    (6.0, 8.0)
    """
    a, b = earlier
    a_later, b_later = later
    return a_later * a, a_later * b + b_later


def hillis_steele(a, b, h0):
    """Return every state by doubling: after round i each step spans 2^i steps, Eq. (4.3).

    The shortest chain, log2(l) rounds, for l log2(l) work. Arguments and result are those of
    `sequential`. Reference: Hillis and Steele, "Data Parallel Algorithms", CACM 29 (1986).

    Examples
    --------
    >>> hillis_steele(np.full((1, 3), 0.5), np.ones((1, 3)), np.zeros(1))
    array([[1.  , 1.5 , 1.75]])
    """
    xp = array_namespace(b)
    first = a[:, :1] * h0[:, None] + b[:, :1]  # h_1: the state before it is known
    b = xp.concatenate([first, b[:, 1:]], axis=1)
    span = 1
    while span < b.shape[1]:
        earlier, later = (a[:, :-span], b[:, :-span]), (a[:, span:], b[:, span:])
        joined_a, joined_b = combine(earlier, later)
        a = xp.concatenate([a[:, :span], joined_a], axis=1)
        b = xp.concatenate([b[:, :span], joined_b], axis=1)
        span *= 2
    return b


def blelloch(a, b, h0):
    """Return every state by a tree: join neighbours going up, hand states out coming down.

    Up-sweep, Eq. (4.4): neighbours are joined into steps twice as long until one is left.
    Down-sweep, Eq. (4.5): the state before a long step is the state before its first half, and
    the first half takes it to the state before the second. Work in proportion to l, in
    2 log2(l) rounds. Arguments and result are those of `sequential`.

    Reference: Blelloch, "Prefix Sums and Their Applications", CMU-CS-90-190 (1990). There the
    down-sweep carries pairs, and the state is applied last; here it carries the states themselves.

    Examples
    --------
    >>> blelloch(np.full((1, 3), 0.5), np.ones((1, 3)), np.zeros(1))
    array([[1.  , 1.5 , 1.75]])
    """
    xp = array_namespace(b)
    levels = [(a, b)]
    while levels[-1][0].shape[1] > 1:
        levels.append(_join_neighbours(xp, *levels[-1]))
    before = h0[:, None]  # the state before each step of a level
    for long_a, long_b in reversed(levels[:-1]):
        halves = xp.empty_like(long_b)
        halves[:, 0::2] = before
        pairs = halves[:, 1::2].shape[1]
        halves[:, 1::2] = (
            long_a[:, 0::2][:, :pairs] * before[:, :pairs] + long_b[:, 0::2][:, :pairs]
        )
        before = halves
    return a * before[:, : a.shape[1]] + b


def _join_neighbours(xp, a, b):
    """Join steps 1 and 2, 3 and 4, and so on; a last one without a partner stays as it is."""
    even = a.shape[1] // 2 * 2
    earlier = a[:, 0:even:2], b[:, 0:even:2]
    later = a[:, 1:even:2], b[:, 1:even:2]
    joined_a, joined_b = combine(earlier, later)
    joined_a = xp.concatenate([joined_a, a[:, even:]], axis=1)
    return joined_a, xp.concatenate([joined_b, b[:, even:]], axis=1)


def chunked(k):
    """Return a schedule in two levels: all chunks of k steps at once, then their carries.

    Eq. (4.6): inside every chunk the steps since its start are joined, side by side for all
    chunks; a short loop carries the state from chunk to chunk; then each state follows from its
    chunk's carry. What is left over after the last whole chunk runs one step at a time.

    Parameters
    ----------
    k : int
        Steps in a chunk, at least 1.

    Returns
    -------
    schedule : callable
        With the arguments and the result of `sequential`.

    Raises
    ------
    ValueError
        If k is less than 1.

    Examples
    --------
    >>> chunked(2)(np.full((1, 3), 0.5), np.ones((1, 3)), np.zeros(1))
    array([[1.  , 1.5 , 1.75]])
    """
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1 step in a chunk")

    def schedule(a, b, h0):
        whole = b.shape[1] // k * k
        if not whole:
            return sequential(a, b, h0)
        xp = array_namespace(b)
        h = _chunks(xp, a[:, :whole], b[:, :whole], h0, k)
        return xp.concatenate([h, sequential(a[:, whole:], b[:, whole:], h[:, -1])], axis=1)

    return schedule


def _chunks(xp, a, b, h0, k):
    """Run the two levels of `chunked` on a whole number of chunks."""
    shape = (b.shape[0], b.shape[1] // k, k, *b.shape[2:])
    a, b = a.reshape(shape), b.reshape(shape)
    since_a, since_b = xp.empty_like(a), xp.empty_like(b)  # all steps since the chunk's start
    since_a[:, :, 0], since_b[:, :, 0] = a[:, :, 0], b[:, :, 0]
    for i in range(1, k):
        earlier = since_a[:, :, i - 1], since_b[:, :, i - 1]
        since_a[:, :, i], since_b[:, :, i] = combine(earlier, (a[:, :, i], b[:, :, i]))
    after = sequential(since_a[:, :, -1], since_b[:, :, -1], h0)  # the state after each chunk
    before = xp.concatenate([h0[:, None], after[:, :-1]], axis=1)
    h = since_a * before[:, :, None] + since_b
    return h.reshape(shape[0], shape[1] * k, *shape[3:])


class WorkAndDepth(NamedTuple):
    """The cost of a schedule, Eq. (4.7)."""

    work: int  # multiplications and additions in all
    depth: int  # longest chain of them, each waiting for the one before


class _CountingNumber:
    """A number that forgets its value and remembers what it took to compute it."""

    def __init__(self, tally, depth=0):
        self.tally, self.depth = tally, depth

    def _operate(self, other):
        self.tally["work"] += 1
        return _CountingNumber(self.tally, 1 + max(self.depth, other.depth))

    __add__ = __mul__ = _operate


def work_and_depth(schedule, l):
    """Count what a schedule does to a sequence of length l, by running it on counting numbers.

    Eq. (4.7), found and not assumed: whatever function is given is run, and watched.

    Parameters
    ----------
    schedule : callable
    l : int

    Returns
    -------
    WorkAndDepth

    Examples
    --------
    >>> work_and_depth(sequential, 1024)
    WorkAndDepth(work=2048, depth=2048)
    >>> work_and_depth(hillis_steele, 1024)
    WorkAndDepth(work=27653, depth=22)
    """
    import numpy as np  # counting numbers live in an object array, which only NumPy has

    tally = {"work": 0}
    new = np.frompyfunc(lambda _: _CountingNumber(tally), 1, 1)
    h = schedule(*(new(np.empty(shape)) for shape in ((1, l), (1, l), (1,))))
    return WorkAndDepth(tally["work"], max((x.depth for x in h.ravel()), default=0))


def _check(a, b, h0):
    if b.ndim < 2:
        raise ValueError(f"b has shape {b.shape}, expected (b, l, ...): a batch and a time axis")
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape}, expected that of b, {b.shape}")
    state = b.shape[:1] + b.shape[2:]
    if h0.shape != state:
        raise ValueError(f"h0 has shape {h0.shape}, expected {state} to fit b {b.shape}")
