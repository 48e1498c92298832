"""Exercises of tutorial 07 on gradients: what the token writes, the step size, the gate."""

import numpy as np
from check.grade import Exercise, Mistake

from minimamba.ops.elementwise import sigmoid, silu, silu_backward


def draw_inputs(rng):
    """Return u, step (b, l, e), A (e, n) and B (b, l, n) of a selective scan."""
    b, l, e, n = rng.integers(1, 3), rng.integers(3, 6), rng.integers(2, 4), rng.integers(2, 4)
    u, step = rng.normal(size=(b, l, e)), rng.uniform(0.1, 1.5, size=(b, l, e))
    return u, step, -rng.uniform(0.2, 2.0, size=(e, n)), rng.normal(size=(b, l, n))


def _draw_backward(rng):
    u, step, A, B = draw_inputs(rng)
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
        Mistake(
            "the channels are not summed yet: B_t has no index e, axis 2.",
            lambda g, step, u: g * (step * u)[..., None],
        ),
        Mistake(
            "the states are summed; it is the channels, axis 2, that B_t does not have.",
            lambda g, step, u: g.sum(axis=3) * step * u,
        ),
        Mistake(
            "each channel's g meets its own Delta u: multiply first, then sum.",
            lambda g, step, u: g.sum(axis=2) * (step * u).sum(axis=2)[..., None],
        ),
    ),
)


def _through_drive(g, before, u, step, A, B):
    return u * (g * B[:, :, None]).sum(axis=-1)


def _through_decay(g, before, u, step, A, B):
    return (g * before * np.exp(step[..., None] * A) * A).sum(axis=-1)


def _dstep(*arguments):
    return _through_drive(*arguments) + _through_decay(*arguments)


def _with_slope(g, before, u, step, A, B, slope):
    """Return the gradient with another slope for the decay."""
    return _through_drive(g, before, u, step, A, B) + (g * before * slope).sum(axis=-1)


def _state_after(g, before, u, step, A, B):
    after = np.exp(step[..., None] * A) * before + (step * u)[..., None] * B[:, :, None]
    return _dstep(g, after, u, step, A, B)


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
            lambda g, before, u, step, A, B: _with_slope(g, before, u, step, A, B, A),
        ),
        Mistake(
            "the slope of exp(Delta A) is A exp(Delta A): the factor A is missing.",
            lambda g, before, u, step, A, B: _with_slope(
                g, before, u, step, A, B, np.exp(step[..., None] * A)
            ),
        ),
        Mistake(
            "this is the slope in A, Delta exp(Delta A); in Delta it is A exp(Delta A).",
            lambda g, before, u, step, A, B: _with_slope(
                g, before, u, step, A, B, step[..., None] * np.exp(step[..., None] * A)
            ),
        ),
        Mistake(
            "the slope of Delta u B in Delta is u B: the factor Delta is gone.",
            lambda g, before, u, step, A, B: (
                step * _through_drive(g, before, u, step, A, B)
                + _through_decay(g, before, u, step, A, B)
            ),
        ),
        Mistake(
            "the decay meets the state before the step, h_{t-1}; this is the one after it.",
            _state_after,
        ),
        Mistake(
            "the state is missing: the decay multiplies h_{t-1}.",
            lambda g, before, *rest: _dstep(g, np.ones_like(before), *rest),
        ),
        Mistake(
            "softplus is not part of this: it comes after, with the slope sigmoid.",
            lambda g, before, u, step, A, B: (
                _dstep(g, before, u, step, A, B) * sigmoid(step)[0]
            ),
        ),
    ),
)  # fmt: skip


def _gate_gradients(dy, s, z):
    gate, cache = silu(z)
    return dy * gate, silu_backward(dy * s, cache)


def _with_z_slope(slope):
    """Return the gradients with another slope for silu in dz."""
    return lambda dy, s, z: (dy * silu(z)[0], dy * s * slope(z, sigmoid(z)[0]))


gate = Exercise(
    "The gradients of the gate",
    _gate_gradients,
    lambda rng: tuple(rng.normal(size=(3, 2, 4, 3))),
    "y = s silu(z) is a product: each factor's gradient is dy times the other, Eq. (7.10).",
    (
        Mistake("the slope of silu is missing in dz.", _with_z_slope(lambda z, o: 1.0)),
        Mistake(
            "this is silu itself in dz; its slope is wanted.", _with_z_slope(lambda z, o: z * o)
        ),
        Mistake(
            "this is the slope of the sigmoid; silu is z times it, a product.",
            _with_z_slope(lambda z, o: o * (1 - o)),
        ),
        Mistake(
            "silu is a product, z sigmoid(z): its slope has a second term.",
            _with_z_slope(lambda z, o: o),
        ),
        Mistake(
            "silu is a product, z sigmoid(z): the term in which z moves is missing.",
            _with_z_slope(lambda z, o: z * o * (1 - o)),
        ),
        Mistake(
            "the gate is silu(z) = z sigmoid(z); here it is the sigmoid alone.",
            lambda dy, s, z: (dy * sigmoid(z)[0], _gate_gradients(dy, s, z)[1]),
        ),
        Mistake(
            "ds is dy times the gate silu(z), not times its slope.",
            lambda dy, s, z: (silu_backward(dy, silu(z)[1]), silu_backward(dy * s, silu(z)[1])),
        ),
        Mistake(
            "dz needs s, the output before the gate, not y.",
            lambda dy, s, z: (dy * silu(z)[0], silu_backward(dy * s * silu(z)[0], silu(z)[1])),
        ),
        Mistake(
            "dz needs the other factor, s.",
            lambda dy, s, z: (dy * silu(z)[0], silu_backward(dy, silu(z)[1])),
        ),
    ),
)
