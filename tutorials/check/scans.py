"""Exercises of tutorial 04: parallel scans."""

import numpy as np
from check.grade import exercise

from minimamba.ops.recurrence import combine, sequential


def _draw_three(rng):
    return tuple((rng.uniform(0.2, 1.2, size=3), rng.normal(size=3)) for _ in range(3))


def _three(first, second, third):
    return combine(combine(first, second), third)


def _drive(first, second, third, through_second, through_third):
    """Return the join with another drive: what b_1 and b_2 are multiplied by."""
    drive = through_second * first[1] + through_third * second[1] + third[1]
    return _three(first, second, third)[0], drive


join = exercise(
    "Three steps in one",
    _three,
    _draw_three,
    "write the three steps out, h -> a h + b each, collect what multiplies h and what does not.",
    "the order is turned round: the first step is applied first, so b_1 is decayed most.",
    lambda first, second, third: _three(third, second, first),
    "b_1 passes through two later steps: it is multiplied by a_2 and by a_3.",
    lambda first, second, third: _drive(first, second, third, third[0], third[0]),
    "b_1 passes through two later steps: it is multiplied by a_2 and by a_3.",
    lambda first, second, third: _drive(first, second, third, second[0], third[0]),
    "b_2 passes through one later step: it is multiplied by a_3.",
    lambda first, second, third: _drive(first, second, third, second[0] * third[0], 1),
    "the drives are only added: each must be decayed by the steps that follow it.",
    lambda first, second, third: _drive(first, second, third, 1, 1),
    "the pair is turned round: the decay comes first, then the drive.",
    lambda *steps: _three(*steps)[::-1],
)


def _draw_round(rng):
    b, l = rng.integers(1, 4), rng.integers(4, 10)
    a, b = rng.uniform(0.2, 1.2, size=(b, l)), rng.normal(size=(b, l))
    return a, b, int(rng.integers(1, a.shape[1] - 1))


def _cut(a, b, span):
    """Return the earlier and the later pairs of a round."""
    return (a[:, :-span], b[:, :-span]), (a[:, span:], b[:, span:])


def _after(a, b, span, joined):
    """Put what was joined behind the pairs without a partner."""
    pairs = zip((a, b), joined, strict=True)
    return tuple(np.concatenate([x[:, :span], y], axis=1) for x, y in pairs)


def _round(a, b, span):
    return _after(a, b, span, combine(*_cut(a, b, span)))


def _round_in_place(a, b, span):
    a, b = a.copy(), b.copy()
    for t in range(span, a.shape[1]):
        a[:, t], b[:, t] = combine((a[:, t - span], b[:, t - span]), (a[:, t], b[:, t]))
    return a, b


def _round_decay_first(a, b, span):
    joined = _round(a, b, span)[0]
    return joined, _round(joined, b, span)[1]


doubling = exercise(
    "One round of doubling",
    _round,
    _draw_round,
    "pair t is joined with pair t - span; the first `span` pairs have no partner and stay.",
    "the operands are swapped: the earlier pair is the one at t - span, Eq. (4.3).",
    lambda a, b, span: _after(a, b, span, combine(*_cut(a, b, span)[::-1])),
    "new values are read in the round that writes them: all joins read the old arrays.",
    _round_in_place,
    "the drive uses the decay that is joined already: it needs this round's a_t.",
    _round_decay_first,
    "the pairs without a partner are lost: they pass to the next round unchanged.",
    lambda a, b, span: tuple(x[:, span:] for x in _round(a, b, span)),
    "the start is joined with the end: an index t - span below 0 wraps around in NumPy.",
    lambda a, b, span: combine(tuple(np.roll(x, span, axis=1) for x in (a, b)), (a, b)),
    "the decays are not joined: the next round needs a_t a_{t-span}.",
    lambda a, b, span: (a, _round(a, b, span)[1]),
)


def _draw_tree(rng):
    b, half = rng.integers(1, 4), rng.integers(2, 6)
    a = rng.uniform(0.2, 1.2, size=(b, 2 * half))
    return a, rng.normal(size=a.shape), rng.normal(size=(b, half))


def _interleave(first, second):
    return np.stack([first, second], axis=2).reshape(len(first), -1)


def _hand_out(a, b, before):
    return _interleave(before, a[:, ::2] * before + b[:, ::2])


hand_out = exercise(
    "One level of the down-sweep",
    _hand_out,
    _draw_tree,
    "the first half begins where the long step begins; the second, after the first, Eq. (4.5).",
    "this moves through the second half: what lies before it is the first, a[:, 0::2].",
    lambda a, b, before: _interleave(before, a[:, 1::2] * before + b[:, 1::2]),
    "these are the states after each step; the down-sweep carries the states before.",
    lambda a, b, before: a * _hand_out(a, b, before) + b,
    "the two halves lie behind each other; interleave them: 0::2 and 1::2.",
    lambda a, b, before: np.concatenate([before, a[:, ::2] * before + b[:, ::2]], axis=1),
    "the two halves are exchanged: the first half has the state before the long step.",
    lambda a, b, before: _interleave(a[:, ::2] * before + b[:, ::2], before),
    "both halves are given the same state: the second begins where the first ends.",
    lambda a, b, before: np.repeat(before, 2, axis=1),
    "the drive is left out: a step takes h to a h + b.",
    lambda a, b, before: _hand_out(a, 0 * b, before),
)


def _draw_chunks(rng):
    b, k, chunks = rng.integers(1, 4), int(rng.integers(2, 4)), rng.integers(2, 5)
    a = rng.uniform(0.2, 1.2, size=(b, k * chunks))
    return a, rng.normal(size=a.shape), rng.normal(size=b), k


def _entering(a, b, h0, k):
    return np.concatenate([h0[:, None], sequential(a, b, h0)[:, k - 1 : -1 : k]], axis=1)


def _without_decay(a, b, h0, k):
    a, b = (x.reshape(len(x), -1, k) for x in (a, b))
    return _entering(a.prod(-1), b.sum(-1), h0, 1)


def _apart(a, b, h0, start, k):
    """Return the states that would enter each chunk if every chunk began from `start`."""
    rows = (x.reshape(-1, k) for x in (a, b))
    after = sequential(*rows, np.repeat(start, a.shape[1] // k))[:, -1].reshape(len(a), -1)
    return np.concatenate([h0[:, None], after[:, :-1]], axis=1)


carries = exercise(
    "The state entering each chunk",
    _entering,
    _draw_chunks,
    "join the k steps of a chunk to one long step; the carries obey Eq. (3.1) with long steps.",
    "these are the states leaving the chunks; the first chunk is entered with h0.",
    lambda a, b, h0, k: sequential(a, b, h0)[:, k - 1 :: k],
    "these are the states after the first step of each chunk, not before it.",
    lambda a, b, h0, k: sequential(a, b, h0)[:, ::k],
    "one step late: chunk c is entered with the state after step c k, index c k - 1.",
    lambda a, b, h0, k: np.concatenate([h0[:, None], sequential(a, b, h0)[:, k::k]], 1),
    "the decays of a chunk are left out of its drive: join with Eq. (4.1), not with sums.",
    _without_decay,
    "the carry is forgotten: each chunk here begins from zero.",
    lambda a, b, h0, k: _apart(a, b, h0, np.zeros_like(h0), k),
    "every chunk begins from h0; it begins where the one before it ended.",
    lambda a, b, h0, k: _apart(a, b, h0, h0, k),
)


def _draw_packed(rng):
    shape = rng.integers(1, 4), rng.integers(4, 10)
    starts = rng.random(shape) < 0.3
    starts[:, 0] = True
    return rng.uniform(0.2, 1.2, size=shape), rng.normal(size=shape), starts


def _run(a, b):
    return sequential(a, b, np.zeros_like(b[:, 0]))


packed = exercise(
    "Many sequences in one row",
    lambda a, b, starts: _run(np.where(starts, 0.0, a), b),
    _draw_packed,
    "at a start nothing of the past may pass: which of the two, a or b, carries the past?",
    "the sequences are not separated: a state runs on into the next one.",
    lambda a, b, starts: _run(a, b),
    "the drive is wiped as well: the first step of a sequence still has its b.",
    lambda a, b, starts: _run(np.where(starts, 0.0, a), np.where(starts, 0.0, b)),
    "the drive is wiped and not the decay: it is a_t that carries the past.",
    lambda a, b, starts: _run(a, np.where(starts, 0.0, b)),
    "the mask is turned round: the decay is to be zero where `starts` is true.",
    lambda a, b, starts: _run(np.where(starts, a, 0.0), b),
    "only the first state is mended: the steps after it still carry the old past.",
    lambda a, b, starts: np.where(starts, b, _run(a, b)),
    "one step late: the decay of the starting step itself must be zero.",
    lambda a, b, starts: _run(np.where(np.roll(starts, 1, axis=1), 0.0, a), b),
)
