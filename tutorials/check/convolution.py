"""Exercises of tutorial 05: time-invariant systems as convolutions, and the depthwise one."""

import numpy as np
from check.grade import exercise

from minimamba.ops.conv import ConvParams, causal_conv1d, causal_conv1d_backward, causal_conv1d_step
from minimamba.ops.lti import (
    causal_convolution,
    causal_convolution_backward,
    convolve_direct,
    convolve_fft,
    impulse_response,
    transfer_function,
)


def _draw_system(rng):
    e, n = rng.integers(1, 4), rng.integers(1, 4)
    A_bar = rng.uniform(0.3, 0.9, size=(e, n))
    return A_bar, *rng.normal(size=(2, e, n))


def _draw_kernel(rng):
    return *_draw_system(rng), int(rng.integers(3, 9))


def _response(A_bar, B_bar, C, l):
    return impulse_response(A_bar, B_bar, C, l)[0]


kernel = exercise(
    "The kernel of a diagonal system",
    _response,
    _draw_kernel,
    "K[j] is the sum over the states of C A_bar^j B_bar; j begins with 0, Eq. (5.1).",
    "off by one: K_0 is C B_bar, for the newest input is not decayed at all.",
    lambda A_bar, B_bar, C, l: _response(A_bar, A_bar * B_bar, C, l),
    "one step late: K_0 is C B_bar and not zero.",
    lambda A_bar, B_bar, C, l: np.pad(_response(A_bar, B_bar, C, l - 1), ((1, 0), (0, 0))),
    "what is read, C, is missing.",
    lambda A_bar, B_bar, C, l: _response(A_bar, B_bar, np.ones_like(C), l),
    "what is written, B_bar, is missing.",
    lambda A_bar, B_bar, C, l: _response(A_bar, np.ones_like(B_bar), C, l),
    "A_bar is discrete already: take powers of it, not its exponential.",
    lambda A_bar, B_bar, C, l: _response(np.exp(A_bar), B_bar, C, l),
    "the states are not summed: a channel has one kernel, not n.",
    lambda A_bar, B_bar, C, l: C * A_bar ** np.arange(l)[:, None, None] * B_bar,
    "the kernel runs backward: K[0] meets the newest input.",
    lambda A_bar, B_bar, C, l: _response(A_bar, B_bar, C, l)[::-1],
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


fft = exercise(
    "Causal convolution by FFT",
    convolve_fft,
    _draw_convolution,
    "transform both at a length of at least 2 l - 1, multiply, go back, and cut to l.",
    "the end leaks into the start: without padding this is the circle of Eq. (5.4).",
    lambda u, K: _around(u, K, u.shape[1]),
    "the padding is too short by a little: 2 l - 1 places are needed, Eq. (5.3).",
    lambda u, K: _around(u, K, 2 * u.shape[1] - 2),
    "irfft guesses an even length: give it the length of the circle as well.",
    lambda u, K: _around(u, K, 2 * u.shape[1] - 1, 2 * u.shape[1] - 2),
    "the wrong end is cut: the outputs are the first l of the circle.",
    lambda u, K: _whole(u, K, 2 * u.shape[1])[:, -u.shape[1] :],
    "a conjugate too many, of the spectrum of u; neither is conjugated.",
    lambda u, K: _whole(u, K, 2 * u.shape[1], np.conj)[:, : u.shape[1]],
    "a conjugate too many: this looks into the future; neither spectrum is conjugated.",
    lambda u, K: causal_convolution_backward(u, causal_convolution(u, K)[1], convolve_direct)[0],
    "the padding is still there: cut the result to the length of u.",
    lambda u, K: _whole(u, K, 2 * u.shape[1]),
)


def _draw_frequencies(rng):
    return *_draw_system(rng), rng.uniform(0, np.pi, size=5)


def _gain(A_bar, B_bar, C, omega):
    return np.abs(transfer_function(A_bar, B_bar, C, np.exp(1j * omega))[0])


gain = exercise(
    "The gain at a frequency",
    _gain,
    _draw_frequencies,
    "put z = exp(i omega) into Eq. (5.5), sum over the states, take the magnitude.",
    "the magnitudes are summed; waves of different phase must be added as they are.",
    lambda A_bar, B_bar, C, omega: np.abs(
        C * B_bar / (1 - A_bar * np.exp(-1j * omega)[:, None, None])
    ).sum(-1),
    "this is the power, the square of the gain.",
    lambda *x: _gain(*x) ** 2,
    "omega is an angle: z is exp(i omega).",
    lambda A_bar, B_bar, C, omega: np.abs(transfer_function(A_bar, B_bar, C, omega + 0j)[0]),
    "the i is missing: z is exp(i omega), on the unit circle.",
    lambda A_bar, B_bar, C, omega: np.abs(
        transfer_function(A_bar, B_bar, C, np.exp(omega) + 0j)[0]
    ),
    "a sign: the fraction is C B / (1 - A / z).",
    lambda A_bar, B_bar, C, omega: _gain(-A_bar, B_bar, C, omega),
    "this is H itself; the gain is its magnitude.",
    lambda A_bar, B_bar, C, omega: transfer_function(A_bar, B_bar, C, np.exp(1j * omega))[0],
    "these are decibels; the gain itself is asked for.",
    lambda *x: 20 * np.log10(_gain(*x)),
    "this is the real part; the gain is the magnitude of the complex number.",
    lambda A_bar, B_bar, C, omega: transfer_function(A_bar, B_bar, C, np.exp(1j * omega))[0].real,
)


def _draw_gradient(rng):
    u, _ = _draw_convolution(rng)
    return rng.normal(size=u.shape), u, int(rng.integers(2, u.shape[1] + 1))


def _kernel_gradient(dy, u, k):
    _, cache = causal_convolution(u, np.zeros((k, u.shape[2])))
    return causal_convolution_backward(dy, cache, convolve_direct)[1]


kernel_gradient = exercise(
    "The gradient of the kernel",
    _kernel_gradient,
    _draw_gradient,
    "tap j meets u_{t-j} in every y_t with t >= j: sum over rows and time (u[:, :-0] is empty).",
    "shifted the wrong way: y_t has met u_{t-j}, an earlier input, not a later one.",
    lambda dy, u, k: _kernel_gradient(u, dy, k),
    "off by one: tap 0 is dy_t u_t, without a shift.",
    lambda dy, u, k: _kernel_gradient(dy, np.pad(u, ((0, 0), (1, 0), (0, 0)))[:, :-1], k),
    "the taps run backward: the first is that of the newest input.",
    lambda dy, u, k: _kernel_gradient(dy, u, k)[::-1],
    "the rows of the batch are not summed: they share the taps.",
    lambda dy, u, k: np.stack(
        [_kernel_gradient(dy[i : i + 1], u[i : i + 1], k) for i in range(len(u))], axis=1
    ),
    "the rows of the batch are averaged; they share the taps, so their gradients add.",
    lambda dy, u, k: _kernel_gradient(dy, u, k) / len(u),
    "it runs around the circle: where t - j is before the start there is no input.",
    lambda dy, u, k: np.stack([(dy * np.roll(u, j, axis=1)).sum(axis=(0, 1)) for j in range(k)]),
)


def _draw_conv1d(rng):
    b, l, e, k = rng.integers(1, 4), rng.integers(4, 8), rng.integers(1, 4), rng.integers(2, 5)
    return rng.normal(size=(b, l, e)), rng.normal(size=(e, k))


def _input_gradient(dy, weight):
    _, _, cache = causal_conv1d(np.zeros_like(dy), ConvParams(weight, None))
    return causal_conv1d_backward(dy, None, cache)[0]


def _wrapped(dy, weight):
    """Return what an index below zero makes of it: it wraps around."""
    k = weight.shape[1]
    return sum(weight[:, j] * np.roll(dy, j - k + 1, axis=1) for j in range(k))


def _padded(dy, weight):
    return np.pad(_input_gradient(dy, weight), ((0, 0), (weight.shape[1] - 1, 0), (0, 0)))


input_gradient = exercise(
    "The gradient of the input of conv1d",
    _input_gradient,
    _draw_conv1d,
    "x_s meets tap k-1 in y_s, tap k-2 in y_{s+1}, and so on while s+1, ... is not past the end.",
    "this is the convolution itself; gradients come from later outputs, not earlier.",
    lambda dy, weight: causal_conv1d(dy, ConvParams(weight, None))[0],
    "the taps are turned round: the last tap is the one of the current step.",
    lambda dy, weight: _input_gradient(dy, weight[:, ::-1]),
    "the end is joined with the start: an index below 0 wraps around in NumPy.",
    _wrapped,
    "off by one: the last tap of x_s is met in y_s itself.",
    lambda dy, weight: _input_gradient(np.pad(dy, ((0, 0), (0, 1), (0, 0)))[:, 1:], weight),
    "only the current output is counted; k - 1 later ones have met x_s, too.",
    lambda dy, weight: dy * weight[:, -1],
    "the padding is still there: drop the k - 1 places of the state.",
    _padded,
)


def _draw_step(rng):
    b, e, k = rng.integers(1, 4), rng.integers(1, 4), rng.integers(3, 5)
    weight, bias = rng.normal(size=(e, k)), rng.normal(size=e)
    return rng.normal(size=(b, e)), weight, bias, rng.normal(size=(b, k - 1, e))


def _step(x_t, weight, bias, state):
    return causal_conv1d_step(x_t, ConvParams(weight, bias), state)


def _moved(x_t, weight, bias, state):
    return _step(x_t, weight, bias, state)[1]


def _newest_first(x_t, weight, bias, state):
    window = np.concatenate([x_t[:, None], state], axis=1)
    return (window * weight.T).sum(axis=1) + bias, window[:, :-1]


def _without_current(x_t, weight, bias, state):
    return _step(0 * x_t, weight, bias, state)[0], _moved(x_t, weight, bias, state)


conv_step = exercise(
    "One step of conv1d",
    _step,
    _draw_step,
    "append x_t to the state, weigh the k inputs with the k taps, drop the oldest.",
    "the taps run backward: the state is oldest first, like the taps.",
    lambda *x: (_step(x[0], x[1][:, ::-1], *x[2:])[0], _moved(*x)),
    "x_t stands before the state; it is the newest and comes last.",
    _newest_first,
    "the current input is left out: its tap is the last one.",
    _without_current,
    "the state is not moved on: drop the oldest input and append x_t.",
    lambda *x: (_step(*x)[0], x[3]),
    "x_t is put in front; it is the newest input and comes last.",
    lambda x_t, weight, bias, state: (
        _step(x_t, weight, bias, state)[0],
        np.concatenate([x_t[:, None], state[:, :-1]], axis=1),
    ),
    "the oldest input is still there: the state holds k - 1 inputs.",
    lambda *x: (_step(*x)[0], np.concatenate([x[3], x[0][:, None]], axis=1)),
    "the state keeps inputs, not outputs.",
    lambda *x: (_step(*x)[0], _moved(_step(*x)[0], *x[1:])),
    "the bias is left out.",
    lambda x_t, weight, bias, state: _step(x_t, weight, 0 * bias, state),
)
