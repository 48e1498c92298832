"""Exercises of tutorial 10: the spectral filter and its streamable sibling."""

import numpy as np
from check.grade import Exercise, Mistake
from check.spectral_gradients import draw_length, gradients, last_is_single, multiplicity

from minimamba.ops.spectral import causal_filter_step

__all__ = ["energy", "gradients", "kernel", "noise_left", "step"]


def _draw_energy(rng):
    l = draw_length(rng)
    return np.fft.rfft(rng.normal(size=l)), l


def _energy(X, l, weights=multiplicity):
    return (weights(l) * np.abs(X) ** 2).sum() / l


energy = Exercise(
    "The energy of a signal from its kept bins",
    _energy,
    _draw_energy,
    "over all l bins it is the sum of |X_k|^2 / l; which of them are not kept?",
    (
        Mistake(
            "a multiplicity is forgotten: most bins stand for two, themselves and a mirror image.",
            lambda X, l: _energy(X, l, lambda l: 1.0),
        ),
        Mistake(
            "bin 0 has no mirror image, and bin l/2 of an even length is its own: count them once.",
            lambda X, l: _energy(X, l, lambda l: 2.0),
        ),
        Mistake(
            "for an odd length the last kept bin does have a mirror image: count it twice.",
            lambda X, l: _energy(X, l, last_is_single),
        ),
        Mistake(
            "the division by l is missing; this transform is the unnormalised one.",
            lambda X, l: _energy(X, l) * l,
        ),
        Mistake(
            "it is divided by l twice; this X carries no factor.", lambda X, l: _energy(X, l) / l
        ),
        Mistake(
            "|X_k|^2 is X_k times its conjugate: np.abs(X) ** 2, not X ** 2.",
            lambda X, l: (multiplicity(l) * X**2).sum() / l,
        ),
        Mistake(
            "the imaginary parts carry energy too: np.abs(X) ** 2.",
            lambda X, l: _energy(X.real, l),
        ),
        Mistake(
            "this is the length of x; its square is asked for.", lambda X, l: _energy(X, l) ** 0.5
        ),
    ),
)


def _draw_response(rng):
    l, d = draw_length(rng), rng.integers(1, 4)
    return (*rng.normal(size=(2, l // 2 + 1, d)), l)


def _inverse(change=lambda W, l: W, **options):
    """Return the kernel of a changed response, or of another inverse transform."""

    def wrong(re, im, l):
        W = change(re + 1j * im, l)
        return np.fft.irfft(W, **{"n": l, "axis": 0} | options)

    return wrong


kernel = Exercise(
    "The kernel of a response",
    _inverse(),
    _draw_response,
    "which input makes a circular convolution answer with its kernel? Or use np.fft.irfft.",
    (
        Mistake(
            "an odd length is lost: f bins belong to l = 2 f - 2 or to 2 f - 1. Pass n=l.",
            _inverse(n=None),
        ),
        Mistake(
            "the bins lie along axis 0; np.fft.irfft takes the last axis unless it is told.",
            _inverse(axis=1),
        ),
        Mistake(
            "this is the orthonormal inverse, too large by sqrt(l): Eq. (10.1) divides by l.",
            _inverse(norm="ortho"),
        ),
        Mistake("the division by l is missing, Eq. (10.3).", _inverse(norm="forward")),
        Mistake(
            "it is divided by l twice; np.fft.irfft does it by itself.",
            _inverse(lambda W, l: W / l),
        ),
        Mistake(
            "the mirror images are missing: a kept bin that stands for two counts twice.",
            _inverse(lambda W, l: W / multiplicity(l)[:, None]),
        ),
        Mistake(
            "the kernel runs backward: the sign of the exponent, or of im, is turned round.",
            _inverse(lambda W, l: W.conj()),
        ),
        Mistake("the angles of the response are lost with im.", _inverse(lambda W, l: W.real)),
        Mistake("the angles are lost: W is complex, not its size.", _inverse(lambda W, l: abs(W))),
    ),
)


def _draw_keep(rng):
    l = draw_length(rng)
    return l, int(rng.integers(2, l // 2 + 1))


noise_left = Exercise(
    "How much white noise passes",
    lambda l, keep: multiplicity(l)[:keep].sum() / l,
    _draw_keep,
    "white noise has its power spread evenly over all l bins; count those that pass.",
    (
        Mistake(
            "the bins are not equal: bin 0 is one of l, most others stand for two of l.",
            lambda l, keep: keep / (l // 2 + 1),
        ),
        Mistake(
            "the mirror images pass as well: most kept bins count twice.",
            lambda l, keep: keep / l,
        ),
        Mistake("bin 0 has no mirror image: count it once.", lambda l, keep: 2 * keep / l),
        Mistake("one bin too many: bin 0 is one of the kept.", lambda l, keep: (1 + 2 * keep) / l),
        Mistake(
            "this is the amplitude; a variance is asked for.",
            lambda l, keep: np.sqrt(multiplicity(l)[:keep].sum() / l),
        ),
    ),
)


def _draw_step(rng):
    b, k, d = rng.integers(1, 4), rng.integers(3, 6), rng.integers(1, 4)
    return rng.normal(size=(b, d)), rng.normal(size=(k, d)), rng.normal(size=(b, k - 1, d))


step = Exercise(
    "One step of the causal filter",
    causal_filter_step,
    _draw_step,
    "the newest input meets taps[0]; then the oldest leaves the state and x_t joins it.",
    (
        Mistake(
            "the taps run backward: taps[0] is for x_t, the last tap for the oldest input.",
            lambda x_t, taps, state: causal_filter_step(x_t, taps[::-1], state),
        ),
        Mistake(
            "the state is not moved on: drop the oldest input and append x_t.",
            lambda x_t, taps, state: (causal_filter_step(x_t, taps, state)[0], state),
        ),
        Mistake(
            "the state is in the wrong order: oldest first, so x_t comes last.",
            lambda x_t, taps, state: (
                causal_filter_step(x_t, taps, state)[0],
                np.concatenate([x_t[:, None], state[:, :-1]], axis=1),
            ),
        ),
        Mistake(
            "the state grows: it holds k - 1 inputs, so the oldest leaves when x_t comes.",
            lambda x_t, taps, state: (
                causal_filter_step(x_t, taps, state)[0],
                np.concatenate([state, x_t[:, None]], axis=1),
            ),
        ),
        Mistake(
            "y_t comes from the old state and x_t; this one has moved the state on first.",
            lambda x_t, taps, state: (
                causal_filter_step(x_t, taps, causal_filter_step(x_t, taps, state)[1])[0],
                causal_filter_step(x_t, taps, state)[1],
            ),
        ),
        Mistake(
            "the state holds inputs, not outputs.",
            lambda x_t, taps, state: (
                causal_filter_step(x_t, taps, state)[0],
                np.concatenate(
                    [state[:, 1:], causal_filter_step(x_t, taps, state)[0][:, None]], axis=1
                ),
            ),
        ),
    ),
)
