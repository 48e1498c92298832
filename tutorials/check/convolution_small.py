"""Exercises of tutorial 05 on the small convolution of a Mamba block."""

import numpy as np
from check.grade import Exercise, Mistake

from minimamba.ops.conv import ConvParams, causal_conv1d, causal_conv1d_backward, causal_conv1d_step


def _draw_conv1d(rng):
    b, l, e, k = rng.integers(1, 4), rng.integers(4, 8), rng.integers(1, 4), rng.integers(2, 5)
    return rng.normal(size=(b, l, e)), rng.normal(size=(e, k))


def _input_gradient(dy, weight):
    _, _, cache = causal_conv1d(np.zeros_like(dy), ConvParams(weight, None))
    return causal_conv1d_backward(dy, None, cache)[0]


def _around(dy, weight):
    """Return what an index below zero makes of it: it wraps around."""
    k = weight.shape[1]
    return sum(weight[:, j] * np.roll(dy, j - k + 1, axis=1) for j in range(k))


def _padded(dy, weight):
    return np.pad(_input_gradient(dy, weight), ((0, 0), (weight.shape[1] - 1, 0), (0, 0)))


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
        Mistake(
            "the end is joined with the start: an index below 0 wraps around in NumPy.",
            _around,
        ),
        Mistake(
            "off by one: the last tap of x_s is met in y_s itself.",
            lambda dy, weight: _input_gradient(np.pad(dy, ((0, 0), (0, 1), (0, 0)))[:, 1:], weight),
        ),
        Mistake(
            "only the current output is counted; k - 1 later ones have met x_s, too.",
            lambda dy, weight: dy * weight[:, -1],
        ),
        Mistake(
            "the padding is still there: drop the k - 1 places of the state.",
            _padded,
        ),
    ),
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


conv_step = Exercise(
    "One step of conv1d",
    _step,
    _draw_step,
    "append x_t to the state, weigh the k inputs with the k taps, drop the oldest.",
    (
        Mistake(
            "the taps run backward: the state is oldest first, like the taps.",
            lambda *x: (_step(x[0], x[1][:, ::-1], *x[2:])[0], _moved(*x)),
        ),
        Mistake(
            "x_t stands before the state; it is the newest and comes last.",
            _newest_first,
        ),
        Mistake(
            "the current input is left out: its tap is the last one.",
            _without_current,
        ),
        Mistake(
            "the state is not moved on: drop the oldest input and append x_t.",
            lambda *x: (_step(*x)[0], x[3]),
        ),
        Mistake(
            "x_t is put in front; it is the newest input and comes last.",
            lambda x_t, weight, bias, state: (
                _step(x_t, weight, bias, state)[0],
                np.concatenate([x_t[:, None], state[:, :-1]], axis=1),
            ),
        ),
        Mistake(
            "the oldest input is still there: the state holds k - 1 inputs.",
            lambda *x: (_step(*x)[0], np.concatenate([x[3], x[0][:, None]], axis=1)),
        ),
        Mistake(
            "the state keeps inputs, not outputs.",
            lambda *x: (_step(*x)[0], _moved(_step(*x)[0], *x[1:])),
        ),
        Mistake(
            "the bias is left out.",
            lambda x_t, weight, bias, state: _step(x_t, weight, 0 * bias, state),
        ),
    ),
)
