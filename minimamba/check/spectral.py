"""Exercises of tutorial 10: the spectral filter and its streamable sibling."""

import numpy as np

from minimamba.check.grade import Exercise, Mistake
from minimamba.ops.spectral import (
    FilterParams,
    causal_filter_step,
    spectral_filter,
    spectral_filter_backward,
)


def _multiplicity(l):
    k = np.arange(l // 2 + 1)
    return np.where((k == 0) | (2 * k == l), 1.0, 2.0)


def _draw_length(rng):
    """Return a length from 5 to 11; the seeds of the grader give odd and even ones."""
    return 5 + int(1000 * rng.random()) % 7


def _draw_energy(rng):
    l = _draw_length(rng)
    return np.fft.rfft(rng.normal(size=l)), l


def _energy(X, l, weights=_multiplicity):
    return (weights(l) * np.abs(X) ** 2).sum() / l


def _last_is_single(l):
    return np.r_[1.0, np.full(l // 2 - 1, 2.0), 1.0]


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
            lambda X, l: _energy(X, l, _last_is_single),
        ),
        Mistake(
            "the division by l is missing; this transform is the unnormalised one.",
            lambda X, l: _energy(X, l) * l,
        ),
    ),
)


def _draw_response(rng):
    l, d = _draw_length(rng), rng.integers(1, 4)
    return (*rng.normal(size=(2, l // 2 + 1, d)), l)


kernel = Exercise(
    "The kernel of a response",
    lambda re, im, l: np.fft.irfft(re + 1j * im, n=l, axis=0),
    _draw_response,
    "which input makes a circular convolution answer with its kernel? Or use np.fft.irfft.",
    (
        Mistake(
            "an odd length is lost: f bins belong to l = 2 f - 2 or to 2 f - 1. Pass n=l.",
            lambda re, im, l: np.fft.irfft(re + 1j * im, axis=0),
        ),
        Mistake(
            "this is the orthonormal inverse, too large by sqrt(l): Eq. (10.1) divides by l.",
            lambda re, im, l: np.fft.irfft(re + 1j * im, n=l, axis=0, norm="ortho"),
        ),
        Mistake(
            "the kernel runs backward: the sign of the exponent, or of im, is turned round.",
            lambda re, im, l: np.fft.irfft(re - 1j * im, n=l, axis=0),
        ),
    ),
)


def _draw_backward(rng):
    b, l, d = rng.integers(1, 4), _draw_length(rng), rng.integers(1, 4)
    dy, x = rng.normal(size=(2, b, l, d))
    return dy, x, *rng.normal(size=(2, l // 2 + 1, d))


def _gradients(dy, x, re, im):
    _, cache = spectral_filter(x, FilterParams(re, im))
    dx, dp = spectral_filter_backward(dy, cache)
    return dx, dp.re, dp.im


def _reweighted(weight):
    """Return the gradients with those of the response multiplied by a weight of every bin."""

    def wrong(dy, x, re, im):
        dx, dre, dim = _gradients(dy, x, re, im)
        factor = np.reshape(weight(x.shape[1]), (-1, 1))
        return dx, dre * factor, dim * factor

    return wrong


def _no_conjugate_on_response(dy, x, re, im):
    return _gradients(dy, x, re, -im)[0], *_gradients(dy, x, re, im)[1:]


def _no_conjugate_on_spectrum(dy, x, re, im):
    share = _multiplicity(x.shape[1])[:, None] / x.shape[1]
    dW = share * (np.fft.rfft(x, axis=1) * np.fft.rfft(dy, axis=1)).sum(axis=0)
    return _gradients(dy, x, re, im)[0], dW.real, dW.imag


def _conjugated_gradient(dy, x, re, im):
    dx, dre, dim = _gradients(dy, x, re, im)
    return dx, dre, -dim


gradients = Exercise(
    "The gradients of the spectral filter",
    _gradients,
    _draw_backward,
    "with X and G the transforms of x and dy: conj(W) G leads to dx, c_k / l conj(X) G is dW.",
    (
        Mistake(
            "the bin multiplicity is forgotten: bins that stand for two count twice, Eq. (10.5).",
            _reweighted(lambda l: 1 / _multiplicity(l)),
        ),
        Mistake(
            "every bin is doubled: bin 0, and bin l/2 of an even length, stand for themselves.",
            _reweighted(lambda l: 2 / _multiplicity(l)),
        ),
        Mistake("the 1/l of the inverse transform is missing in dre and dim.", _reweighted(float)),
        Mistake(
            "dx needs the conjugate response: the gradient runs through the kernel backward.",
            _no_conjugate_on_response,
        ),
        Mistake(
            "dre + i dim needs the conjugate of X, the spectrum of the input.",
            _no_conjugate_on_spectrum,
        ),
        Mistake("dim has the wrong sign: conj(X) G, not X conj(G).", _conjugated_gradient),
    ),
)


def _draw_keep(rng):
    l = _draw_length(rng)
    return l, int(rng.integers(2, l // 2 + 1))


noise_left = Exercise(
    "How much white noise passes",
    lambda l, keep: _multiplicity(l)[:keep].sum() / l,
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
        Mistake(
            "this is the amplitude; a variance is asked for.",
            lambda l, keep: np.sqrt(_multiplicity(l)[:keep].sum() / l),
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
    ),
)
