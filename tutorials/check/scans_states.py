"""Exercises of tutorial 04 that return states: the carries of chunks, and packed sequences."""

import numpy as np
from check.grade import Exercise, Mistake

from minimamba.ops.recurrence import sequential


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
            "these are the states after the first step of each chunk, not before it.",
            lambda a, b, h0, k: sequential(a, b, h0)[:, ::k],
        ),
        Mistake(
            "one step late: chunk c is entered with the state after step c k, index c k - 1.",
            lambda a, b, h0, k: np.concatenate([h0[:, None], sequential(a, b, h0)[:, k::k]], 1),
        ),
        Mistake(
            "the decays of a chunk are left out of its drive: join with Eq. (4.1), not with sums.",
            _without_decay,
        ),
        Mistake(
            "the carry is forgotten: each chunk here begins from zero.",
            lambda a, b, h0, k: _apart(a, b, h0, np.zeros_like(h0), k),
        ),
        Mistake(
            "every chunk begins from h0; it begins where the one before it ended.",
            lambda a, b, h0, k: _apart(a, b, h0, h0, k),
        ),
    ),
)


def _draw_packed(rng):
    shape = rng.integers(1, 4), rng.integers(4, 10)
    starts = rng.random(shape) < 0.3
    starts[:, 0] = True
    return rng.uniform(0.2, 1.2, size=shape), rng.normal(size=shape), starts


def _run(a, b):
    return sequential(a, b, np.zeros_like(b[:, 0]))


packed = Exercise(
    "Many sequences in one row",
    lambda a, b, starts: _run(np.where(starts, 0.0, a), b),
    _draw_packed,
    "at a start nothing of the past may pass: which of the two, a or b, carries the past?",
    (
        Mistake(
            "the sequences are not separated: a state runs on into the next one.",
            lambda a, b, starts: _run(a, b),
        ),
        Mistake(
            "the drive is wiped as well: the first step of a sequence still has its b.",
            lambda a, b, starts: _run(np.where(starts, 0.0, a), np.where(starts, 0.0, b)),
        ),
        Mistake(
            "the drive is wiped and not the decay: it is a_t that carries the past.",
            lambda a, b, starts: _run(a, np.where(starts, 0.0, b)),
        ),
        Mistake(
            "the mask is turned round: the decay is to be zero where `starts` is true.",
            lambda a, b, starts: _run(np.where(starts, a, 0.0), b),
        ),
        Mistake(
            "only the first state is mended: the steps after it still carry the old past.",
            lambda a, b, starts: np.where(starts, b, _run(a, b)),
        ),
        Mistake(
            "one step late: the decay of the starting step itself must be zero.",
            lambda a, b, starts: _run(np.where(np.roll(starts, 1, axis=1), 0.0, a), b),
        ),
    ),
)
