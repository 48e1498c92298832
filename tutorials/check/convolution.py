"""Exercises of tutorial 05: time-invariant systems as convolutions, and the depthwise one."""

import numpy as np
from check.convolution_small import conv_step, input_gradient
from check.grade import Exercise, Mistake

from minimamba.ops.lti import (
    causal_convolution,
    causal_convolution_backward,
    convolve_direct,
    convolve_fft,
    impulse_response,
    transfer_function,
)

__all__ = ["conv_step", "fft", "gain", "input_gradient", "kernel", "kernel_gradient"]


def _draw_system(rng):
    e, n = rng.integers(1, 4), rng.integers(1, 4)
    A_bar = rng.uniform(0.3, 0.9, size=(e, n))
    return A_bar, *rng.normal(size=(2, e, n))


def _draw_kernel(rng):
    return *_draw_system(rng), int(rng.integers(3, 9))


def _response(A_bar, B_bar, C, l):
    return impulse_response(A_bar, B_bar, C, l)[0]


kernel = Exercise(
    "The kernel of a diagonal system",
    _response,
    _draw_kernel,
    "K[j] is the sum over the states of C A_bar^j B_bar; j begins with 0, Eq. (5.1).",
    (
        Mistake(
            "off by one: K_0 is C B_bar, for the newest input is not decayed at all.",
            lambda A_bar, B_bar, C, l: _response(A_bar, A_bar * B_bar, C, l),
        ),
        Mistake(
            "one step late: K_0 is C B_bar and not zero.",
            lambda A_bar, B_bar, C, l: np.pad(_response(A_bar, B_bar, C, l - 1), ((1, 0), (0, 0))),
        ),
        Mistake(
            "what is read, C, is missing.",
            lambda A_bar, B_bar, C, l: _response(A_bar, B_bar, np.ones_like(C), l),
        ),
        Mistake(
            "what is written, B_bar, is missing.",
            lambda A_bar, B_bar, C, l: _response(A_bar, np.ones_like(B_bar), C, l),
        ),
        Mistake(
            "A_bar is discrete already: take powers of it, not its exponential.",
            lambda A_bar, B_bar, C, l: _response(np.exp(A_bar), B_bar, C, l),
        ),
        Mistake(
            "the states are not summed: a channel has one kernel, not n.",
            lambda A_bar, B_bar, C, l: C * A_bar ** np.arange(l)[:, None, None] * B_bar,
        ),
        Mistake(
            "the kernel runs backward: K[0] meets the newest input.",
            lambda A_bar, B_bar, C, l: _response(A_bar, B_bar, C, l)[::-1],
        ),
    ),
)


def _draw_convolution(rng):
    b, l, e = rng.integers(1, 3), rng.integers(3, 8), rng.integers(1, 4)
    return rng.normal(size=(b, l, e)), rng.normal(size=(l, e))


def _around(u, K, length, back=None):
    spectrum = np.fft.rfft(u, length, axis=1) * np.fft.rfft(K, length, axis=0)
    return np.fft.irfft(spectrum, back or length, axis=1)[:, : u.shape[1]]


def _whole(u, K, length, change=np.positive):
    spectrum = change(np.fft.rfft(u, length, axis=1)) * np.fft.rfft(K, length, axis=0)
    return np.fft.irfft(spectrum, length, axis=1)


fft = Exercise(
    "Causal convolution by FFT",
    convolve_fft,
    _draw_convolution,
    "transform both at a length of at least 2 l - 1, multiply, go back, and cut to l.",
    (
        Mistake(
            "the end leaks into the start: without padding this is the circle of Eq. (5.4).",
            lambda u, K: _around(u, K, u.shape[1]),
        ),
        Mistake(
            "the padding is too short by a little: 2 l - 1 places are needed, Eq. (5.3).",
            lambda u, K: _around(u, K, 2 * u.shape[1] - 2),
        ),
        Mistake(
            "irfft guesses an even length: give it the length of the circle as well.",
            lambda u, K: _around(u, K, 2 * u.shape[1] - 1, 2 * u.shape[1] - 2),
        ),
        Mistake(
            "the wrong end is cut: the outputs are the first l of the circle.",
            lambda u, K: _whole(u, K, 2 * u.shape[1])[:, -u.shape[1] :],
        ),
        Mistake(
            "a conjugate too many, of the spectrum of u; neither is conjugated.",
            lambda u, K: _whole(u, K, 2 * u.shape[1], np.conj)[:, : u.shape[1]],
        ),
        Mistake(
            "a conjugate too many: this looks into the future; neither spectrum is conjugated.",
            lambda u, K: causal_convolution_backward(
                u, causal_convolution(u, K)[1], convolve_direct
            )[0],
        ),
        Mistake(
            "the padding is still there: cut the result to the length of u.",
            lambda u, K: _whole(u, K, 2 * u.shape[1]),
        ),
    ),
)


def _draw_frequencies(rng):
    return *_draw_system(rng), rng.uniform(0, np.pi, size=5)


def _gain(A_bar, B_bar, C, omega):
    return np.abs(transfer_function(A_bar, B_bar, C, np.exp(1j * omega))[0])


gain = Exercise(
    "The gain at a frequency",
    _gain,
    _draw_frequencies,
    "put z = exp(i omega) into Eq. (5.5), sum over the states, take the magnitude.",
    (
        Mistake(
            "the magnitudes are summed; waves of different phase must be added as they are.",
            lambda A_bar, B_bar, C, omega: np.abs(
                C * B_bar / (1 - A_bar * np.exp(-1j * omega)[:, None, None])
            ).sum(-1),
        ),
        Mistake(
            "this is the power, the square of the gain.",
            lambda *x: _gain(*x) ** 2,
        ),
        Mistake(
            "omega is an angle: z is exp(i omega).",
            lambda A_bar, B_bar, C, omega: np.abs(
                transfer_function(A_bar, B_bar, C, omega + 0j)[0]
            ),
        ),
        Mistake(
            "the i is missing: z is exp(i omega), on the unit circle.",
            lambda A_bar, B_bar, C, omega: np.abs(
                transfer_function(A_bar, B_bar, C, np.exp(omega) + 0j)[0]
            ),
        ),
        Mistake(
            "a sign: the fraction is C B / (1 - A / z).",
            lambda A_bar, B_bar, C, omega: _gain(-A_bar, B_bar, C, omega),
        ),
        Mistake(
            "this is H itself; the gain is its magnitude.",
            lambda A_bar, B_bar, C, omega: transfer_function(A_bar, B_bar, C, np.exp(1j * omega))[
                0
            ],
        ),
        Mistake(
            "these are decibels; the gain itself is asked for.",
            lambda *x: 20 * np.log10(_gain(*x)),
        ),
        Mistake(
            "this is the real part; the gain is the magnitude of the complex number.",
            lambda A_bar, B_bar, C, omega: (
                transfer_function(A_bar, B_bar, C, np.exp(1j * omega))[0].real
            ),
        ),
    ),
)


def _draw_gradient(rng):
    u, _ = _draw_convolution(rng)
    return rng.normal(size=u.shape), u, int(rng.integers(2, u.shape[1] + 1))


def _kernel_gradient(dy, u, k):
    _, cache = causal_convolution(u, np.zeros((k, u.shape[2])))
    return causal_convolution_backward(dy, cache, convolve_direct)[1]


kernel_gradient = Exercise(
    "The gradient of the kernel",
    _kernel_gradient,
    _draw_gradient,
    "tap j meets u_{t-j} in every y_t with t >= j: sum over rows and time (u[:, :-0] is empty).",
    (
        Mistake(
            "shifted the wrong way: y_t has met u_{t-j}, an earlier input, not a later one.",
            lambda dy, u, k: _kernel_gradient(u, dy, k),
        ),
        Mistake(
            "off by one: tap 0 is dy_t u_t, without a shift.",
            lambda dy, u, k: _kernel_gradient(dy, np.pad(u, ((0, 0), (1, 0), (0, 0)))[:, :-1], k),
        ),
        Mistake(
            "the taps run backward: the first is that of the newest input.",
            lambda dy, u, k: _kernel_gradient(dy, u, k)[::-1],
        ),
        Mistake(
            "the rows of the batch are not summed: they share the taps.",
            lambda dy, u, k: np.stack(
                [_kernel_gradient(dy[i : i + 1], u[i : i + 1], k) for i in range(len(u))], axis=1
            ),
        ),
        Mistake(
            "the rows of the batch are averaged; they share the taps, so their gradients add.",
            lambda dy, u, k: _kernel_gradient(dy, u, k) / len(u),
        ),
        Mistake(
            "it runs around the circle: where t - j is before the start there is no input.",
            lambda dy, u, k: np.stack(
                [(dy * np.roll(u, j, axis=1)).sum(axis=(0, 1)) for j in range(k)]
            ),
        ),
    ),
)
