"""Exercises of tutorial 07: selection, its gradients, one step, and the last position alone."""

import numpy as np
from check.grade import Exercise, Mistake
from check.selection_gradients import draw_inputs, gate, step_gradient, write_gradient

from minimamba.ops.discretize import euler, zoh, zoh_euler
from minimamba.ops.selective.last import selective_scan_last
from minimamba.ops.selective.naive import selective_scan_step

__all__ = ["discrete", "gate", "last_output", "scan_step", "step_gradient", "write_gradient"]


def _decay_and_drive(u, step, A, B, method=zoh_euler):
    A_bar, B_bar, _ = method(step, A, B)
    return A_bar, B_bar * u[..., None]


discrete = Exercise(
    "The decay and the drive of every step",
    _decay_and_drive,
    draw_inputs,
    "both are (b, l, e, n): exp(Delta A), and Delta u B, Eq. (7.2).",
    (
        Mistake(
            "this drive is that of zero-order hold; Mamba's code keeps Delta B, Eq. (2.7).",
            lambda u, step, A, B: _decay_and_drive(u, step, A, B, zoh),
        ),
        Mistake(
            "this is Euler's decay, 1 + Delta A; Mamba's is exact, exp(Delta A).",
            lambda u, step, A, B: _decay_and_drive(u, step, A, B, euler),
        ),
        Mistake(
            "the sign: A is negative already, the decay is exp(Delta A).",
            lambda u, step, A, B: _decay_and_drive(u, step, -A, B),
        ),
        Mistake(
            "the step size is missing in the drive: where time stands still nothing is written.",
            lambda u, step, A, B: _decay_and_drive(u / step, step, A, B),
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


def _draw_last(rng):
    u, step, A, B = draw_inputs(rng)
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


last_output = Exercise(
    "The last output as a sum",
    _last,
    _draw_last,
    "S_t adds the steps after t: np.cumsum from the end, minus the step itself, Eq. (7.11).",
    (
        Mistake(
            "off by one: a token is not decayed by its own step; S_t begins with Delta_{t+1}.",
            _with_time(_since),
        ),
        Mistake(
            "time is counted from the start; what decays a token is the time still to come.",
            _with_time(lambda step: np.cumsum(step, axis=1) - step),
        ),
        Mistake(
            "time is counted from the start; what decays a token is the time still to come.",
            _with_time(lambda step: np.cumsum(step, axis=1)),
        ),
        Mistake(
            "the cumulative sum still runs from the end: flip it back.",
            _with_time(lambda step: (_since(step) - step)[:, ::-1]),
        ),
        Mistake("nothing decays: the factor exp(S_t A) is missing.", _with_time(np.zeros_like)),
        Mistake(
            "the factor Delta_t of the drive is missing.",
            lambda u, step, A, B, C: _last(u / step, step, A, B, C),
        ),
        Mistake(
            "the sign: A is negative already, the decay is exp(S_t A).",
            lambda u, step, A, B, C: _last(u, step, -A, B, C),
        ),
        Mistake(
            "the state is not read: multiply by C and sum over n.",
            lambda u, step, A, B, C: _last(u, step, A, B, np.ones_like(C)),
        ),
    ),
)


def _draw_step(rng):
    u, step, A, B = draw_inputs(rng)
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


scan_step = Exercise(
    "One step of the scan",
    selective_scan_step,
    _draw_step,
    "decay the state and add the drive, Eq. (7.3); then read it with C_t, Eq. (7.4).",
    (
        Mistake("this reads the state before the step; y_t has met u_t already.", _read_too_early),
        Mistake(
            "the new state is not returned: give back the one after the step.",
            lambda *x: (selective_scan_step(*x)[0], x[5]),
        ),
        Mistake("the new drive is decayed too; only the old state is.", _decayed_too),
        Mistake(
            "the old state is not decayed: multiply it by exp(Delta A).",
            lambda u_t, step_t, A, *rest: selective_scan_step(u_t, step_t, 0 * A, *rest),
        ),
        Mistake(
            "the step size is missing in the drive: it is Delta u B.",
            lambda u_t, step_t, *rest: selective_scan_step(u_t / step_t, step_t, *rest),
        ),
        Mistake(
            "the old state is forgotten.",
            lambda *x: selective_scan_step(*x[:5], np.zeros_like(x[5])),
        ),
        Mistake(
            "the states are not summed: a channel has one output.",
            lambda *x: (x[4][:, None] * _moved(*x), _moved(*x)),
        ),
    ),
)
