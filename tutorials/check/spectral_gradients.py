"""The exercise of tutorial 10 on the gradients of the spectral filter."""

import numpy as np
from check.grade import Exercise, Mistake

from minimamba.ops.spectral import FilterParams, spectral_filter, spectral_filter_backward


def multiplicity(l):
    k = np.arange(l // 2 + 1)
    return np.where((k == 0) | (2 * k == l), 1.0, 2.0)


def draw_length(rng):
    """Return a length from 5 to 11; the seeds of the grader give odd and even ones."""
    return 5 + int(1000 * rng.random()) % 7


def last_is_single(l):
    return np.r_[1.0, np.full(l // 2 - 1, 2.0), 1.0]


def _draw_backward(rng):
    b, l, d = rng.integers(1, 4), draw_length(rng), rng.integers(1, 4)
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
    share = multiplicity(x.shape[1])[:, None] / x.shape[1]
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


gradients = Exercise(
    "The gradients of the spectral filter",
    _gradients,
    _draw_backward,
    "X, G are the transforms of x, dy over axis 1: conj(W) G leads to dx, c_k/l conj(X) G is dW.",
    (
        Mistake(
            "the bin multiplicity is forgotten: bins that stand for two count twice, Eq. (10.5).",
            _reweighted(lambda l: 1 / multiplicity(l)),
        ),
        Mistake(
            "every bin is doubled: bin 0, and bin l/2 of an even length, stand for themselves.",
            _reweighted(lambda l: 2 / multiplicity(l)),
        ),
        Mistake(
            "for an odd length the last kept bin stands for two as well, Eq. (10.1).",
            _reweighted(lambda l: last_is_single(l) / multiplicity(l)),
        ),
        Mistake("the 1/l of the inverse transform is missing in dre and dim.", _reweighted(float)),
        Mistake(
            "both factors of the inverse transform are missing in dre and dim: c_k and 1/l.",
            _reweighted(lambda l: l / multiplicity(l)),
        ),
        Mistake(
            "dW is divided by l twice; orthonormal X and G bring 1/sqrt(l) each.",
            _reweighted(lambda l: 1 / l),
        ),
        Mistake("an odd length is lost: pass n=l to np.fft.irfft.", _length_lost),
        Mistake("one response serves the whole batch: sum dre and dim over it.", _each_sequence),
        Mistake(
            "dx needs the conjugate response: the gradient runs through the kernel backward.",
            _no_conjugate_on_response,
        ),
        Mistake(
            "dre + i dim needs the conjugate of X, the spectrum of the input.",
            _no_conjugate_on_spectrum,
        ),
        Mistake(
            "dim has the wrong sign: conj(X) G, not X conj(G).",
            _changed(lambda dx, dre, dim: (dx, dre, -dim)),
        ),
        Mistake(
            "dre and dim are swapped: the real part of conj(X) G belongs to re.",
            _changed(lambda dx, dre, dim: (dx, dim, dre)),
        ),
    ),
)
