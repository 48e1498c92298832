"""What two calls on related cases have in common: cuts in time, and the room between results."""

from dataclasses import replace

import numpy as np

from minimamba.oracle.bound import tolerance as bound
from minimamba.oracle.bound.judge import SMALLEST, ratios

FUTURE = ("u", "delta", "z", "x", "a", "b", "B", "C", "input_ids")


def timed(case):
    """Return the inputs that have an axis of time."""
    return [k for k in case.inputs if "l" in case.axes[k] and k in (*FUTURE, "seq_idx")]


def between(case, start, stop):
    """Return the case cut to the steps [start, stop); its cotangents go."""
    cut = {k: case.inputs[k][:, start:stop] for k in timed(case)}
    return replace(case.with_inputs(**cut), cotangents={})


def main_output(case):
    return next(iter(case.contract.outputs))


def apart(judge, name, one, other, result, doubt=0.0):
    """Return the worst |one - other| over the tolerance of both (and over `doubt`, if larger)."""
    tol = 2 * judge.tolerance()[name] + doubt
    return_trip = returned(judge, name, result)
    tol = tol + 2 * return_trip(np.abs(judge.want[name]).astype(np.float64) + tol)
    return float(np.max(ratios(one, other, tol, result.dtypes[name], 1.0), initial=0.0))


def returned(judge, name, result):
    """Return what coming back in a coarser dtype may do to values of a size: a function of it."""
    real = bound.real_name(result.dtypes[name])
    if bound.UNIT[real] <= judge.base:
        return lambda size: 0 * size
    return lambda size: bound.UNIT[real] * size + SMALLEST[real]


def longer(judge, l, k, name="out"):
    """Return the doubt of k more steps: one more level of a tree is one more rounding a term."""
    return judge.tolerance()[name] if np.ceil(np.log2(l + k)) > np.ceil(np.log2(l)) else 0.0


def coarse_state(judge, result, name):
    return bound.unit_roundoff(result.dtypes[name]) > judge.base


def with_input(case, name, x):
    spec = case.contract.inputs[name]
    return replace(case, inputs=case.inputs | {name: x}, axes=case.axes | {name: spec.axes})


def slack(judge, name, result):
    """Return the tolerance of an array, its return in a coarser dtype and our sums included."""
    size = np.abs(judge.want[name]).astype(np.float64)
    tol = judge.tolerance()[name]
    return tol + returned(judge, name, result)(size + tol) + 1e-13 * size


def first_steps(judge, name, cut):
    """Return a judge of the first `cut` steps of one output."""

    class Early:
        base = judge.base
        want = {name: judge.want[name][:, :cut]}  # noqa: RUF012

        def tolerance(self):
            return {name: judge.tolerance()[name][:, :cut]}

    return Early()
