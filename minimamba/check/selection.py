"""Exercises of tutorial 07: selection, its gradients, and the closed form of the last position."""

import numpy as np

from minimamba.check.grade import Exercise, Mistake
from minimamba.ops.discretize import mamba, zoh
from minimamba.ops.elementwise import silu, silu_backward
from minimamba.ops.selective_last import selective_scan_last


def _draw(rng):
    b, l, e, n = rng.integers(1, 3), rng.integers(3, 6), rng.integers(2, 4), rng.integers(2, 4)
    u, step = rng.normal(size=(b, l, e)), rng.uniform(0.1, 1.5, size=(b, l, e))
    return u, step, -rng.uniform(0.2, 2.0, size=(e, n)), rng.normal(size=(b, l, n))


def _decay_and_drive(u, step, A, B, method=mamba):
    A_bar, B_bar, _ = method(step, A, B)
    return A_bar, B_bar * u[..., None]


discrete = Exercise(
    "The decay and the drive of every step",
    _decay_and_drive,
    _draw,
    "both are (b, l, e, n): exp(Delta A), and Delta u B, Eq. (7.2).",
    (
        Mistake(
            "this drive is that of zero-order hold; Mamba's code keeps Delta B, Eq. (2.7).",
            lambda u, step, A, B: _decay_and_drive(u, step, A, B, zoh),
        ),
        Mistake(
            "the step size is missing in the drive: where time stands still nothing is written.",
            lambda u, step, A, B: (
                _decay_and_drive(u, step, A, B)[0],
                u[..., None] * B[:, :, None],
            ),
        ),
        Mistake(
            "the input is missing in the drive.",
            lambda u, step, A, B: _decay_and_drive(np.ones_like(u), step, A, B),
        ),
        Mistake(
            "the step size is missing in the decay.",
            lambda u, step, A, B: (
                _decay_and_drive(u, np.ones_like(step), A, B)[0],
                _decay_and_drive(u, step, A, B)[1],
            ),
        ),
    ),
)


def _draw_backward(rng):
    u, step, A, B = _draw(rng)
    g, before = rng.normal(size=(2, *u.shape, A.shape[1]))
    return g, before, u, step, A, B


def _dB(g, step, u):
    return (g * (step * u)[..., None]).sum(axis=2)


def _draw_dB(rng):
    g, _, u, step, _, _ = _draw_backward(rng)
    return g, step, u


write_gradient = Exercise(
    "The gradient of B",
    _dB,
    _draw_dB,
    "B_t is in the drive of every channel, with the factor Delta u: sum over the channels.",
    (
        Mistake(
            "the factor Delta is missing: the drive is Delta u B.",
            lambda g, step, u: _dB(g, np.ones_like(step), u),
        ),
        Mistake(
            "the factor u is missing: the drive is Delta u B.",
            lambda g, step, u: _dB(g, step, np.ones_like(u)),
        ),
        Mistake(
            "all channels share B_t: their gradients are summed, not averaged.",
            lambda g, step, u: _dB(g, step, u) / u.shape[2],
        ),
    ),
)


def _through_drive(g, before, u, step, A, B):
    return u * (g * B[:, :, None]).sum(axis=-1)


def _through_decay(g, before, u, step, A, B):
    return (g * before * np.exp(step[..., None] * A) * A).sum(axis=-1)


def _dstep(*arguments):
    return _through_drive(*arguments) + _through_decay(*arguments)


step_gradient = Exercise(
    "The gradient of the step size",
    _dstep,
    _draw_backward,
    "Delta is in a_t and in b_t: two slopes, two terms, each summed over the states, Eq. (7.8).",
    (
        Mistake("Delta acts through the decay as well: that term is missing.", _through_drive),
        Mistake("Delta acts through the drive as well: that term is missing.", _through_decay),
        Mistake(
            "the slope of exp(Delta A) is A exp(Delta A): the exponential is missing.",
            lambda g, before, u, step, A, B: (
                _through_drive(g, before, u, step, A, B) + (g * before * A).sum(axis=-1)
            ),
        ),
        Mistake(
            "the slope of exp(Delta A) is A exp(Delta A): the factor A is missing.",
            lambda g, before, u, step, A, B: (
                _through_drive(g, before, u, step, A, B)
                + (g * before * np.exp(step[..., None] * A)).sum(axis=-1)
            ),
        ),
    ),
)


def _gate_gradients(dy, s, z):
    gate, cache = silu(z)
    return dy * gate, silu_backward(dy * s, cache)


gate = Exercise(
    "The gradients of the gate",
    _gate_gradients,
    lambda rng: tuple(rng.normal(size=(3, 2, 4, 3))),
    "y = s silu(z) is a product: each factor's gradient is dy times the other, Eq. (7.10).",
    (
        Mistake(
            "the slope of silu is missing in dz.",
            lambda dy, s, z: (dy * silu(z)[0], dy * s),
        ),
        Mistake(
            "ds is dy times the gate silu(z), not times its slope.",
            lambda dy, s, z: (silu_backward(dy, silu(z)[1]), silu_backward(dy * s, silu(z)[1])),
        ),
        Mistake(
            "dz needs s, the output before the gate, not y.",
            lambda dy, s, z: (dy * silu(z)[0], silu_backward(dy * s * silu(z)[0], silu(z)[1])),
        ),
    ),
)


def _draw_last(rng):
    u, step, A, B = _draw(rng)
    return u, step, A, B, rng.normal(size=(len(u), A.shape[1]))


def _last(u, step, A, B, C):
    return selective_scan_last(u, step, A, B, C, np.full(len(u), u.shape[1] - 1))[0]


def _sum_over_time(u, step, A, B, C, ahead):
    decay = np.exp(ahead[..., None] * A)
    return np.einsum("ble,blen,bln,bn->be", step * u, decay, B, C)


last_output = Exercise(
    "The last output as a sum",
    _last,
    _draw_last,
    "S_t adds the steps after t: np.cumsum from the end, minus the step itself, Eq. (7.11).",
    (
        Mistake(
            "off by one: a token is not decayed by its own step; S_t begins with Delta_{t+1}.",
            lambda u, step, A, B, C: _sum_over_time(
                u, step, A, B, C, np.cumsum(step[:, ::-1], axis=1)[:, ::-1]
            ),
        ),
        Mistake(
            "time is counted from the start; what decays a token is the time still to come.",
            lambda u, step, A, B, C: _sum_over_time(
                u, step, A, B, C, np.cumsum(step, axis=1) - step
            ),
        ),
        Mistake(
            "the factor Delta_t of the drive is missing.",
            lambda u, step, A, B, C: _sum_over_time(
                u / step, step, A, B, C, np.cumsum(step[:, ::-1], axis=1)[:, ::-1] - step
            ),
        ),
    ),
)
