"""Exercises of tutorial 04: parallel scans."""

import numpy as np

from minimamba.check.grade import Exercise, Mistake
from minimamba.ops.schedules import combine, sequential


def _draw(rng):
    b, l = rng.integers(1, 4), rng.integers(4, 10)
    a = rng.uniform(0.2, 1.2, size=(b, l))
    return a, rng.normal(size=(b, l)), rng.normal(size=b)


def _draw_three(rng):
    return tuple((rng.uniform(0.2, 1.2, size=3), rng.normal(size=3)) for _ in range(3))


def _three(first, second, third):
    return combine(combine(first, second), third)


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
            lambda first, second, third: (
                _three(first, second, third)[0],
                third[0] * second[1] + third[0] * first[1] + third[1],
            ),
        ),
        Mistake(
            "the drives are only added: each must be decayed by the steps that follow it.",
            lambda first, second, third: (
                _three(first, second, third)[0],
                first[1] + second[1] + third[1],
            ),
        ),
    ),
)


def _draw_round(rng):
    a, b, _ = _draw(rng)
    return a, b, int(rng.integers(1, a.shape[1] - 1))


def _round(a, b, span):
    joined = combine((a[:, :-span], b[:, :-span]), (a[:, span:], b[:, span:]))
    return tuple(
        np.concatenate([x[:, :span], y], axis=1) for x, y in zip((a, b), joined, strict=True)
    )


def _round_in_place(a, b, span):
    a, b = a.copy(), b.copy()
    for t in range(span, a.shape[1]):
        a[:, t], b[:, t] = combine((a[:, t - span], b[:, t - span]), (a[:, t], b[:, t]))
    return a, b


def _round_swapped(a, b, span):
    joined = combine((a[:, span:], b[:, span:]), (a[:, :-span], b[:, :-span]))
    return tuple(
        np.concatenate([x[:, :span], y], axis=1) for x, y in zip((a, b), joined, strict=True)
    )


doubling = Exercise(
    "One round of doubling",
    _round,
    _draw_round,
    "pair t is joined with pair t - span; the first `span` pairs have no partner and stay.",
    (
        Mistake(
            "the operands are swapped: the earlier pair is the one at t - span, Eq. (4.3).",
            _round_swapped,
        ),
        Mistake(
            "new values are read in the round that writes them: all joins read the old arrays.",
            _round_in_place,
        ),
        Mistake(
            "the pairs without a partner are lost: they pass to the next round unchanged.",
            lambda a, b, span: tuple(x[:, span:] for x in _round(a, b, span)),
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


def _hand_out(a, b, before):
    return np.stack([before, a[:, ::2] * before + b[:, ::2]], axis=2).reshape(a.shape)


hand_out = Exercise(
    "One level of the down-sweep",
    _hand_out,
    _draw_tree,
    "the first half begins where the long step begins; the second, after the first, Eq. (4.5).",
    (
        Mistake(
            "this moves through the second half: what lies before it is the first, a[:, 0::2].",
            lambda a, b, before: np.stack(
                [before, a[:, 1::2] * before + b[:, 1::2]], axis=2
            ).reshape(a.shape),
        ),
        Mistake(
            "these are the states after each step; the down-sweep carries the states before.",
            lambda a, b, before: a * _hand_out(a, b, before) + b,
        ),
        Mistake(
            "the two halves lie behind each other; interleave them: 0::2 and 1::2.",
            lambda a, b, before: np.concatenate(
                [before, a[:, ::2] * before + b[:, ::2]], axis=1
            ),
        ),
        Mistake(
            "both halves are given the same state: the second begins where the first ends.",
            lambda a, b, before: np.repeat(before, 2, axis=1),
        ),
    ),
)  # fmt: skip


def _draw_chunks(rng):
    b, k, chunks = rng.integers(1, 4), int(rng.integers(2, 4)), rng.integers(2, 5)
    a = rng.uniform(0.2, 1.2, size=(b, k * chunks))
    return a, rng.normal(size=a.shape), rng.normal(size=b), k


def _entering(a, b, h0, k):
    return np.concatenate([h0[:, None], sequential(a, b, h0)[:, k - 1 : -1 : k]], axis=1)


carries = Exercise(
    "The state entering each chunk",
    _entering,
    _draw_chunks,
    "join the k steps of a chunk to one long step; the carries obey Eq. (3.1) with long steps.",
    (
        Mistake(
            "these are the states leaving the chunks; the first chunk is entered with h0.",
            lambda a, b, h0, k: sequential(a, b, h0)[:, k - 1 :: k],
        ),
        Mistake(
            "the decays of a chunk are left out of its drive: join with Eq. (4.1), not with sums.",
            lambda a, b, h0, k: _entering(
                a.reshape(len(a), -1, k).prod(-1), b.reshape(len(a), -1, k).sum(-1), h0, 1
            ),
        ),
        Mistake(
            "off by one: a chunk ends with its k-th step, index k - 1.",
            lambda a, b, h0, k: np.concatenate(
                [h0[:, None], sequential(a, b, h0)[:, k - 2 : -2 : k]], axis=1
            )[:, : a.shape[1] // k],
        ),
    ),
)


def _draw_packed(rng):
    a, b, _ = _draw(rng)
    starts = rng.random(a.shape) < 0.3
    starts[:, 0] = True
    return a, b, starts


def _packed(a, b, starts):
    return sequential(np.where(starts, 0.0, a), b, np.zeros_like(b[:, 0]))


packed = Exercise(
    "Many sequences in one row",
    _packed,
    _draw_packed,
    "at a start nothing of the past may pass: which of the two, a or b, carries the past?",
    (
        Mistake(
            "the sequences are not separated: a state runs on into the next one.",
            lambda a, b, starts: sequential(a, b, np.zeros_like(b[:, 0])),
        ),
        Mistake(
            "the drive is wiped as well: the first step of a sequence still has its b.",
            lambda a, b, starts: sequential(
                np.where(starts, 0.0, a), np.where(starts, 0.0, b), np.zeros_like(b[:, 0])
            ),
        ),
        Mistake(
            "one step late: the decay of the starting step itself must be zero.",
            lambda a, b, starts: sequential(
                np.where(np.roll(starts, 1, axis=1), 0.0, a), b, np.zeros_like(b[:, 0])
            ),
        ),
    ),
)
