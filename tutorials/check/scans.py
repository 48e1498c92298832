"""Exercises of tutorial 04: parallel scans."""

import numpy as np
from check.grade import Exercise, Mistake
from check.scans_states import carries, packed

from minimamba.ops.recurrence import combine

__all__ = ["carries", "doubling", "hand_out", "join", "packed"]


def _draw_three(rng):
    return tuple((rng.uniform(0.2, 1.2, size=3), rng.normal(size=3)) for _ in range(3))


def _three(first, second, third):
    return combine(combine(first, second), third)


def _drive(first, second, third, through_second, through_third):
    """Return the join with another drive: what b_1 and b_2 are multiplied by."""
    drive = through_second * first[1] + through_third * second[1] + third[1]
    return _three(first, second, third)[0], drive


join = Exercise(
    "Three steps in one",
    _three,
    _draw_three,
    "write the three steps out, h -> a h + b each, collect what multiplies h and what does not.",
    (
        Mistake(
            "the order is turned round: the first step is applied first, so b_1 is decayed most.",
            lambda first, second, third: _three(third, second, first),
        ),
        Mistake(
            "b_1 passes through two later steps: it is multiplied by a_2 and by a_3.",
            lambda first, second, third: _drive(first, second, third, third[0], third[0]),
        ),
        Mistake(
            "b_1 passes through two later steps: it is multiplied by a_2 and by a_3.",
            lambda first, second, third: _drive(first, second, third, second[0], third[0]),
        ),
        Mistake(
            "b_2 passes through one later step: it is multiplied by a_3.",
            lambda first, second, third: _drive(first, second, third, second[0] * third[0], 1),
        ),
        Mistake(
            "the drives are only added: each must be decayed by the steps that follow it.",
            lambda first, second, third: _drive(first, second, third, 1, 1),
        ),
        Mistake(
            "the pair is turned round: the decay comes first, then the drive.",
            lambda *steps: _three(*steps)[::-1],
        ),
    ),
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


doubling = Exercise(
    "One round of doubling",
    _round,
    _draw_round,
    "pair t is joined with pair t - span; the first `span` pairs have no partner and stay.",
    (
        Mistake(
            "the operands are swapped: the earlier pair is the one at t - span, Eq. (4.3).",
            lambda a, b, span: _after(a, b, span, combine(*_cut(a, b, span)[::-1])),
        ),
        Mistake(
            "new values are read in the round that writes them: all joins read the old arrays.",
            _round_in_place,
        ),
        Mistake(
            "the drive uses the decay that is joined already: it needs this round's a_t.",
            _round_decay_first,
        ),
        Mistake(
            "the pairs without a partner are lost: they pass to the next round unchanged.",
            lambda a, b, span: tuple(x[:, span:] for x in _round(a, b, span)),
        ),
        Mistake(
            "the start is joined with the end: an index t - span below 0 wraps around in NumPy.",
            lambda a, b, span: combine(tuple(np.roll(x, span, axis=1) for x in (a, b)), (a, b)),
        ),
        Mistake(
            "the decays are not joined: the next round needs a_t a_{t-span}.",
            lambda a, b, span: (a, _round(a, b, span)[1]),
        ),
    ),
)


def _draw_tree(rng):
    b, half = rng.integers(1, 4), rng.integers(2, 6)
    a = rng.uniform(0.2, 1.2, size=(b, 2 * half))
    return a, rng.normal(size=a.shape), rng.normal(size=(b, half))


def _interleave(first, second):
    return np.stack([first, second], axis=2).reshape(len(first), -1)


def _hand_out(a, b, before):
    return _interleave(before, a[:, ::2] * before + b[:, ::2])


hand_out = Exercise(
    "One level of the down-sweep",
    _hand_out,
    _draw_tree,
    "the first half begins where the long step begins; the second, after the first, Eq. (4.5).",
    (
        Mistake(
            "this moves through the second half: what lies before it is the first, a[:, 0::2].",
            lambda a, b, before: _interleave(before, a[:, 1::2] * before + b[:, 1::2]),
        ),
        Mistake(
            "these are the states after each step; the down-sweep carries the states before.",
            lambda a, b, before: a * _hand_out(a, b, before) + b,
        ),
        Mistake(
            "the two halves lie behind each other; interleave them: 0::2 and 1::2.",
            lambda a, b, before: np.concatenate([before, a[:, ::2] * before + b[:, ::2]], axis=1),
        ),
        Mistake(
            "the two halves are exchanged: the first half has the state before the long step.",
            lambda a, b, before: _interleave(a[:, ::2] * before + b[:, ::2], before),
        ),
        Mistake(
            "both halves are given the same state: the second begins where the first ends.",
            lambda a, b, before: np.repeat(before, 2, axis=1),
        ),
        Mistake(
            "the drive is left out: a step takes h to a h + b.",
            lambda a, b, before: _hand_out(a, 0 * b, before),
        ),
    ),
)
