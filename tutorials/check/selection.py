"""Exercises of tutorial 07: selection, its gradients, one step, and the last position alone."""

import numpy as np
from check.grade import exercise

from minimamba.ops.discretize import euler, zoh, zoh_euler
from minimamba.ops.elementwise import sigmoid, silu, silu_backward
from minimamba.ops.selective.last import selective_scan_last
from minimamba.ops.selective.naive import selective_scan_step


def _draw_inputs(rng):
    """Return u, step (b, l, e), A (e, n) and B (b, l, n) of a selective scan."""
    b, l, e, n = rng.integers(1, 3), rng.integers(3, 6), rng.integers(2, 4), rng.integers(2, 4)
    u, step = rng.normal(size=(b, l, e)), rng.uniform(0.1, 1.5, size=(b, l, e))
    return u, step, -rng.uniform(0.2, 2.0, size=(e, n)), rng.normal(size=(b, l, n))


def _decay_and_drive(u, step, A, B, method=zoh_euler):
    A_bar, B_bar, _ = method(step, A, B)
    return A_bar, B_bar * u[..., None]


discrete = exercise(
    "The decay and the drive of every step",
    _decay_and_drive,
    _draw_inputs,
    "both are (b, l, e, n): exp(Delta A), and Delta u B, Eq. (7.2).",
    "this drive is that of zero-order hold; Mamba's code keeps Delta B, Eq. (2.7).",
    lambda u, step, A, B: _decay_and_drive(u, step, A, B, zoh),
    "this is Euler's decay, 1 + Delta A; Mamba's is exact, exp(Delta A).",
    lambda u, step, A, B: _decay_and_drive(u, step, A, B, euler),
    "the sign: A is negative already, the decay is exp(Delta A).",
    lambda u, step, A, B: _decay_and_drive(u, step, -A, B),
    "the step size is missing in the drive: where time stands still nothing is written.",
    lambda u, step, A, B: _decay_and_drive(u / step, step, A, B),
    "the input is missing in the drive.",
    lambda u, step, A, B: _decay_and_drive(np.ones_like(u), step, A, B),
    "the step size is missing in the decay.",
    lambda u, step, A, B: (
        _decay_and_drive(u, np.ones_like(step), A, B)[0],
        _decay_and_drive(u, step, A, B)[1],
    ),
)


def _draw_backward(rng):
    u, step, A, B = _draw_inputs(rng)
    g, before = rng.normal(size=(2, *u.shape, A.shape[1]))
    return g, before, u, step, A, B


def _dB(g, step, u):
    return (g * (step * u)[..., None]).sum(axis=2)


def _draw_dB(rng):
    g, _, u, step, _, _ = _draw_backward(rng)
    return g, step, u


write_gradient = exercise(
    "The gradient of B",
    _dB,
    _draw_dB,
    "B_t is in the drive of every channel, with the factor Delta u: sum over the channels.",
    "the factor Delta is missing: the drive is Delta u B.",
    lambda g, step, u: _dB(g, np.ones_like(step), u),
    "the factor u is missing: the drive is Delta u B.",
    lambda g, step, u: _dB(g, step, np.ones_like(u)),
    "all channels share B_t: their gradients are summed, not averaged.",
    lambda g, step, u: _dB(g, step, u) / u.shape[2],
    "the channels are not summed yet: B_t has no index e, axis 2.",
    lambda g, step, u: g * (step * u)[..., None],
    "the states are summed; it is the channels, axis 2, that B_t does not have.",
    lambda g, step, u: g.sum(axis=3) * step * u,
    "each channel's g meets its own Delta u: multiply first, then sum.",
    lambda g, step, u: g.sum(axis=2) * (step * u).sum(axis=2)[..., None],
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


step_gradient = exercise(
    "The gradient of the step size",
    _dstep,
    _draw_backward,
    "Delta is in a_t and in b_t: two slopes, two terms, each summed over the states, Eq. (7.8).",
    "Delta acts through the decay as well: that term is missing.",
    _through_drive,
    "Delta acts through the drive as well: that term is missing.",
    _through_decay,
    "the slope of exp(Delta A) is A exp(Delta A): the exponential is missing.",
    lambda g, before, u, step, A, B: _with_slope(g, before, u, step, A, B, A),
    "the slope of exp(Delta A) is A exp(Delta A): the factor A is missing.",
    lambda g, before, u, step, A, B: _with_slope(
        g, before, u, step, A, B, np.exp(step[..., None] * A)
    ),
    "this is the slope in A, Delta exp(Delta A); in Delta it is A exp(Delta A).",
    lambda g, before, u, step, A, B: _with_slope(
        g, before, u, step, A, B, step[..., None] * np.exp(step[..., None] * A)
    ),
    "the slope of Delta u B in Delta is u B: the factor Delta is gone.",
    lambda g, before, u, step, A, B: (
        step * _through_drive(g, before, u, step, A, B) + _through_decay(g, before, u, step, A, B)
    ),
    "the decay meets the state before the step, h_{t-1}; this is the one after it.",
    _state_after,
    "the state is missing: the decay multiplies h_{t-1}.",
    lambda g, before, *rest: _dstep(g, np.ones_like(before), *rest),
    "softplus is not part of this: it comes after, with the slope sigmoid.",
    lambda g, before, u, step, A, B: _dstep(g, before, u, step, A, B) * sigmoid(step)[0],
)


def _gate_gradients(dy, s, z):
    gate, cache = silu(z)
    return dy * gate, silu_backward(dy * s, cache)


def _with_z_slope(slope):
    """Return the gradients with another slope for silu in dz."""
    return lambda dy, s, z: (dy * silu(z)[0], dy * s * slope(z, sigmoid(z)[0]))


gate = exercise(
    "The gradients of the gate",
    _gate_gradients,
    lambda rng: tuple(rng.normal(size=(3, 2, 4, 3))),
    "y = s silu(z) is a product: each factor's gradient is dy times the other, Eq. (7.10).",
    "the slope of silu is missing in dz.",
    _with_z_slope(lambda z, o: 1.0),
    "this is silu itself in dz; its slope is wanted.",
    _with_z_slope(lambda z, o: z * o),
    "this is the slope of the sigmoid; silu is z times it, a product.",
    _with_z_slope(lambda z, o: o * (1 - o)),
    "silu is a product, z sigmoid(z): its slope has a second term.",
    _with_z_slope(lambda z, o: o),
    "silu is a product, z sigmoid(z): the term in which z moves is missing.",
    _with_z_slope(lambda z, o: z * o * (1 - o)),
    "the gate is silu(z) = z sigmoid(z); here it is the sigmoid alone.",
    lambda dy, s, z: (dy * sigmoid(z)[0], _gate_gradients(dy, s, z)[1]),
    "ds is dy times the gate silu(z), not times its slope.",
    lambda dy, s, z: (silu_backward(dy, silu(z)[1]), silu_backward(dy * s, silu(z)[1])),
    "dz needs s, the output before the gate, not y.",
    lambda dy, s, z: (dy * silu(z)[0], silu_backward(dy * s * silu(z)[0], silu(z)[1])),
    "dz needs the other factor, s.",
    lambda dy, s, z: (dy * silu(z)[0], silu_backward(dy, silu(z)[1])),
)


def _draw_last(rng):
    u, step, A, B = _draw_inputs(rng)
    return u, step, A, B, rng.normal(size=(len(u), A.shape[1]))


def _last(u, step, A, B, C):
    return selective_scan_last(u, step, A, B, C, np.full(len(u), u.shape[1] - 1))[0]


def _since(step):
    """Return the time from each step to the end, the step itself included."""
    return np.cumsum(step[:, ::-1], axis=1)[:, ::-1]


def _with_time(ahead):
    """Return the sum over t with another notion of the time still to come."""

    def wrong(u, step, A, B, C):
        decay = np.exp(ahead(step)[..., None] * A)
        return np.einsum("ble,blen,bln,bn->be", step * u, decay, B, C)

    return wrong


last_output = exercise(
    "The last output as a sum",
    _last,
    _draw_last,
    "S_t adds the steps after t: np.cumsum from the end, minus the step itself, Eq. (7.11).",
    "off by one: a token is not decayed by its own step; S_t begins with Delta_{t+1}.",
    _with_time(_since),
    "time is counted from the start; what decays a token is the time still to come.",
    _with_time(lambda step: np.cumsum(step, axis=1) - step),
    "time is counted from the start; what decays a token is the time still to come.",
    _with_time(lambda step: np.cumsum(step, axis=1)),
    "the cumulative sum still runs from the end: flip it back.",
    _with_time(lambda step: (_since(step) - step)[:, ::-1]),
    "nothing decays: the factor exp(S_t A) is missing.",
    _with_time(np.zeros_like),
    "the factor Delta_t of the drive is missing.",
    lambda u, step, A, B, C: _last(u / step, step, A, B, C),
    "the sign: A is negative already, the decay is exp(S_t A).",
    lambda u, step, A, B, C: _last(u, step, -A, B, C),
    "the state is not read: multiply by C and sum over n.",
    lambda u, step, A, B, C: _last(u, step, A, B, np.ones_like(C)),
)


def _draw_step(rng):
    u, step, A, B = _draw_inputs(rng)
    C, h = rng.normal(size=B.shape), rng.normal(size=(len(u), *A.shape))
    return u[:, 0], step[:, 0], A, B[:, 0], C[:, 0], h


def _read(h, C_t):
    return (C_t[:, None] * h).sum(axis=-1)


def _moved(u_t, step_t, A, B_t, C_t, h):
    return selective_scan_step(u_t, step_t, A, B_t, C_t, h)[1]


def _decayed_too(u_t, step_t, A, B_t, C_t, h):
    drive = (step_t * u_t)[..., None] * B_t[:, None]
    h = np.exp(step_t[..., None] * A) * (h + drive)
    return _read(h, C_t), h


def _read_too_early(*x):
    return _read(x[5], x[4]), _moved(*x)


scan_step = exercise(
    "One step of the scan",
    selective_scan_step,
    _draw_step,
    "decay the state and add the drive, Eq. (7.3); then read it with C_t, Eq. (7.4).",
    "this reads the state before the step; y_t has met u_t already.",
    _read_too_early,
    "the new state is not returned: give back the one after the step.",
    lambda *x: (selective_scan_step(*x)[0], x[5]),
    "the new drive is decayed too; only the old state is.",
    _decayed_too,
    "the old state is not decayed: multiply it by exp(Delta A).",
    lambda u_t, step_t, A, *rest: selective_scan_step(u_t, step_t, 0 * A, *rest),
    "the step size is missing in the drive: it is Delta u B.",
    lambda u_t, step_t, *rest: selective_scan_step(u_t / step_t, step_t, *rest),
    "the old state is forgotten.",
    lambda *x: selective_scan_step(*x[:5], np.zeros_like(x[5])),
    "the states are not summed: a channel has one output.",
    lambda *x: (x[4][:, None] * _moved(*x), _moved(*x)),
)
