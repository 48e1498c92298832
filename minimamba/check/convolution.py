"""Exercises of tutorial 05: time-invariant systems as convolutions, and the depthwise one."""

import numpy as np

from minimamba.check.grade import Exercise, Mistake
from minimamba.ops.conv import ConvParams, causal_conv1d, causal_conv1d_backward, causal_conv1d_step
from minimamba.ops.convolution import (
    causal_convolution,
    causal_convolution_backward,
    convolve_direct,
    convolve_fft,
)
from minimamba.ops.lti import impulse_response, transfer_function


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


def _around(u, K, length):
    spectrum = np.fft.rfft(u, length, axis=1) * np.fft.rfft(K, length, axis=0)
    return np.fft.irfft(spectrum, length, axis=1)[:, : u.shape[1]]


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
            "a conjugate too many: this looks into the future; neither spectrum is conjugated.",
            lambda u, K: causal_convolution_backward(
                u, causal_convolution(u, K)[1], convolve_direct
            )[0],
        ),
        Mistake(
            "the padding is still there: cut the result to the length of u.",
            lambda u, K: convolve_direct(np.concatenate([u, 0 * u], axis=1), K),
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
    "tap j multiplies u_{t-j} in every y_t with t >= j: sum dy_t u_{t-j} over rows and time.",
    (
        Mistake(
            "shifted the wrong way: y_t has met u_{t-j}, an earlier input, not a later one.",
            lambda dy, u, k: _kernel_gradient(u, dy, k),
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


def _draw_conv1d(rng):
    b, l, e, k = rng.integers(1, 4), rng.integers(4, 8), rng.integers(1, 4), rng.integers(2, 5)
    return rng.normal(size=(b, l, e)), rng.normal(size=(e, k))


def _input_gradient(dy, weight):
    _, _, cache = causal_conv1d(np.zeros_like(dy), ConvParams(weight, None))
    return causal_conv1d_backward(dy, None, cache)[0]


input_gradient = Exercise(
    "The gradient of the input of conv1d",
    _input_gradient,
    _draw_conv1d,
    "x_s meets tap k-1 in y_s, tap k-2 in y_{s+1}, and so on while s+1, ... is not past the end.",
    (
        Mistake(
            "this is the convolution itself; gradients come from later outputs, not earlier.",
            lambda dy, weight: causal_conv1d(dy, ConvParams(weight, None))[0],
        ),
        Mistake(
            "the taps are turned round: the last tap is the one of the current step.",
            lambda dy, weight: _input_gradient(dy, weight[:, ::-1]),
        ),
    ),
)


def _draw_step(rng):
    b, e, k = rng.integers(1, 4), rng.integers(1, 4), rng.integers(3, 5)
    weight, bias = rng.normal(size=(e, k)), rng.normal(size=e)
    return rng.normal(size=(b, e)), weight, bias, rng.normal(size=(b, k - 1, e))


def _step(x_t, weight, bias, state):
    return causal_conv1d_step(x_t, ConvParams(weight, bias), state)


conv_step = Exercise(
    "One step of conv1d",
    _step,
    _draw_step,
    "append x_t to the state, weigh the k inputs with the k taps, drop the oldest.",
    (
        Mistake(
            "the taps run backward: the state is oldest first, like the taps.",
            lambda x_t, weight, bias, state: (
                _step(x_t, weight[:, ::-1], bias, state)[0],
                _step(x_t, weight, bias, state)[1],
            ),
        ),
        Mistake(
            "the state is not moved on: drop the oldest input and append x_t.",
            lambda x_t, weight, bias, state: (_step(x_t, weight, bias, state)[0], state),
        ),
        Mistake(
            "the bias is left out.",
            lambda x_t, weight, bias, state: _step(x_t, weight, 0 * bias, state),
        ),
    ),
)
