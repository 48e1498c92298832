"""Exercises of tutorial 10: the spectral filter and its streamable sibling."""

import numpy as np
from check.grade import exercise

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


def _last_is_single(l):
    return np.r_[1.0, np.full(l // 2 - 1, 2.0), 1.0]


def _draw_energy(rng):
    l = _draw_length(rng)
    return np.fft.rfft(rng.normal(size=l)), l


def _energy(X, l, weights=_multiplicity):
    return (weights(l) * np.abs(X) ** 2).sum() / l


energy = exercise(
    "The energy of a signal from its kept bins",
    _energy,
    _draw_energy,
    "over all l bins it is the sum of |X_k|^2 / l; which of them are not kept?",
    "a multiplicity is forgotten: most bins stand for two, themselves and a mirror image.",
    lambda X, l: _energy(X, l, lambda l: 1.0),
    "bin 0 has no mirror image, and bin l/2 of an even length is its own: count them once.",
    lambda X, l: _energy(X, l, lambda l: 2.0),
    "for an odd length the last kept bin does have a mirror image: count it twice.",
    lambda X, l: _energy(X, l, _last_is_single),
    "the division by l is missing; this transform is the unnormalised one.",
    lambda X, l: _energy(X, l) * l,
    "it is divided by l twice; this X carries no factor.",
    lambda X, l: _energy(X, l) / l,
    "|X_k|^2 is X_k times its conjugate: np.abs(X) ** 2, not X ** 2.",
    lambda X, l: (_multiplicity(l) * X**2).sum() / l,
    "the imaginary parts carry energy too: np.abs(X) ** 2.",
    lambda X, l: _energy(X.real, l),
    "this is the length of x; its square is asked for.",
    lambda X, l: _energy(X, l) ** 0.5,
)


def _draw_response(rng):
    l, d = _draw_length(rng), rng.integers(1, 4)
    return (*rng.normal(size=(2, l // 2 + 1, d)), l)


def _inverse(change=lambda W, l: W, **options):
    """Return the kernel of a changed response, or of another inverse transform."""

    def wrong(re, im, l):
        W = change(re + 1j * im, l)
        return np.fft.irfft(W, **{"n": l, "axis": 0} | options)

    return wrong


kernel = exercise(
    "The kernel of a response",
    _inverse(),
    _draw_response,
    "which input makes a circular convolution answer with its kernel? Or use np.fft.irfft.",
    "an odd length is lost: f bins belong to l = 2 f - 2 or to 2 f - 1. Pass n=l.",
    _inverse(n=None),
    "the bins lie along axis 0; np.fft.irfft takes the last axis unless it is told.",
    _inverse(axis=1),
    "this is the orthonormal inverse, too large by sqrt(l): Eq. (10.1) divides by l.",
    _inverse(norm="ortho"),
    "the division by l is missing, Eq. (10.3).",
    _inverse(norm="forward"),
    "it is divided by l twice; np.fft.irfft does it by itself.",
    _inverse(lambda W, l: W / l),
    "the mirror images are missing: a kept bin that stands for two counts twice.",
    _inverse(lambda W, l: W / _multiplicity(l)[:, None]),
    "the kernel runs backward: the sign of the exponent, or of im, is turned round.",
    _inverse(lambda W, l: W.conj()),
    "the angles of the response are lost with im.",
    _inverse(lambda W, l: W.real),
    "the angles are lost: W is complex, not its size.",
    _inverse(lambda W, l: abs(W)),
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


def _changed(change):
    """Return the gradients changed by a function of (dx, dre, dim)."""
    return lambda dy, x, re, im: change(*_gradients(dy, x, re, im))


def _length_lost(dy, x, re, im):
    dx = np.fft.irfft((re - 1j * im) * np.fft.rfft(dy, axis=1), axis=1)
    return dx, *_gradients(dy, x, re, im)[1:]


def _each_sequence(dy, x, re, im):
    """Return the gradients of the response before the sum over the batch."""
    parts = [_gradients(g[None], row[None], re, im)[1:] for g, row in zip(dy, x, strict=True)]
    return _gradients(dy, x, re, im)[0], *map(np.stack, zip(*parts, strict=True))


gradients = exercise(
    "The gradients of the spectral filter",
    _gradients,
    _draw_backward,
    "X, G are the transforms of x, dy over axis 1: conj(W) G leads to dx, c_k/l conj(X) G is dW.",
    "the bin multiplicity is forgotten: bins that stand for two count twice, Eq. (10.5).",
    _reweighted(lambda l: 1 / _multiplicity(l)),
    "every bin is doubled: bin 0, and bin l/2 of an even length, stand for themselves.",
    _reweighted(lambda l: 2 / _multiplicity(l)),
    "for an odd length the last kept bin stands for two as well, Eq. (10.1).",
    _reweighted(lambda l: _last_is_single(l) / _multiplicity(l)),
    "the 1/l of the inverse transform is missing in dre and dim.",
    _reweighted(float),
    "both factors of the inverse transform are missing in dre and dim: c_k and 1/l.",
    _reweighted(lambda l: l / _multiplicity(l)),
    "dW is divided by l twice; orthonormal X and G bring 1/sqrt(l) each.",
    _reweighted(lambda l: 1 / l),
    "an odd length is lost: pass n=l to np.fft.irfft.",
    _length_lost,
    "one response serves the whole batch: sum dre and dim over it.",
    _each_sequence,
    "dx needs the conjugate response: the gradient runs through the kernel backward.",
    _no_conjugate_on_response,
    "dre + i dim needs the conjugate of X, the spectrum of the input.",
    _no_conjugate_on_spectrum,
    "dim has the wrong sign: conj(X) G, not X conj(G).",
    _changed(lambda dx, dre, dim: (dx, dre, -dim)),
    "dre and dim are swapped: the real part of conj(X) G belongs to re.",
    _changed(lambda dx, dre, dim: (dx, dim, dre)),
)


def _draw_keep(rng):
    l = _draw_length(rng)
    return l, int(rng.integers(2, l // 2 + 1))


noise_left = exercise(
    "How much white noise passes",
    lambda l, keep: _multiplicity(l)[:keep].sum() / l,
    _draw_keep,
    "white noise has its power spread evenly over all l bins; count those that pass.",
    "the bins are not equal: bin 0 is one of l, most others stand for two of l.",
    lambda l, keep: keep / (l // 2 + 1),
    "the mirror images pass as well: most kept bins count twice.",
    lambda l, keep: keep / l,
    "bin 0 has no mirror image: count it once.",
    lambda l, keep: 2 * keep / l,
    "one bin too many: bin 0 is one of the kept.",
    lambda l, keep: (1 + 2 * keep) / l,
    "this is the amplitude; a variance is asked for.",
    lambda l, keep: np.sqrt(_multiplicity(l)[:keep].sum() / l),
)


def _draw_step(rng):
    b, k, d = rng.integers(1, 4), rng.integers(3, 6), rng.integers(1, 4)
    return rng.normal(size=(b, d)), rng.normal(size=(k, d)), rng.normal(size=(b, k - 1, d))


step = exercise(
    "One step of the causal filter",
    causal_filter_step,
    _draw_step,
    "the newest input meets taps[0]; then the oldest leaves the state and x_t joins it.",
    "the taps run backward: taps[0] is for x_t, the last tap for the oldest input.",
    lambda x_t, taps, state: causal_filter_step(x_t, taps[::-1], state),
    "the state is not moved on: drop the oldest input and append x_t.",
    lambda x_t, taps, state: (causal_filter_step(x_t, taps, state)[0], state),
    "the state is in the wrong order: oldest first, so x_t comes last.",
    lambda x_t, taps, state: (
        causal_filter_step(x_t, taps, state)[0],
        np.concatenate([x_t[:, None], state[:, :-1]], axis=1),
    ),
    "the state grows: it holds k - 1 inputs, so the oldest leaves when x_t comes.",
    lambda x_t, taps, state: (
        causal_filter_step(x_t, taps, state)[0],
        np.concatenate([state, x_t[:, None]], axis=1),
    ),
    "y_t comes from the old state and x_t; this one has moved the state on first.",
    lambda x_t, taps, state: (
        causal_filter_step(x_t, taps, causal_filter_step(x_t, taps, state)[1])[0],
        causal_filter_step(x_t, taps, state)[1],
    ),
    "the state holds inputs, not outputs.",
    lambda x_t, taps, state: (
        causal_filter_step(x_t, taps, state)[0],
        np.concatenate([state[:, 1:], causal_filter_step(x_t, taps, state)[0][:, None]], axis=1),
    ),
)
