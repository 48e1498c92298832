"""What two calls on related cases have in common: cuts in time, and the room between results."""

from dataclasses import replace

import numpy as np

from minimamba.oracle.bound.judge import SMALLEST, ratios
from minimamba.oracle.bound.tolerance import UNIT, real_name, unit_roundoff


def timed(case):
    """Return the inputs that have an axis of time."""
    return [k for k in case.inputs if "l" in case.axes[k]]


def between(case, start, stop):
    """Return the case cut to the steps [start, stop); its cotangents go."""
    cut = {k: case.inputs[k][:, start:stop] for k in timed(case)}
    return replace(case.with_inputs(**cut), cotangents={})


def with_input(case, name, x):
    spec = case.contract.inputs[name]
    return replace(case, inputs=case.inputs | {name: x}, axes=case.axes | {name: spec.axes})


def main_output(case):
    return next(iter(case.contract.outputs))


def apart(judge, name, one, other, result, doubt=0.0):
    """Return the worst |one - other| over the tolerance of both (and over `doubt`, if larger)."""
    tol = 2 * judge.tolerance()[name] + doubt
    size = np.abs(judge.want[name]).astype(np.float64) + tol
    tol = tol + 2 * rounded_on_return(judge, name, result, size)
    return float(np.max(ratios(one, other, tol, result.dtypes[name], 1.0), initial=0.0))


def slack(judge, name, result):
    """Return the tolerance of an array, its return in a coarser dtype and our sums included."""
    size = np.abs(judge.want[name]).astype(np.float64)
    tol = judge.tolerance()[name]
    return tol + rounded_on_return(judge, name, result, size + tol) + 1e-13 * size


def rounded_on_return(judge, name, result, size):
    """Return what values of a size lose by coming back in a coarser dtype."""
    real = real_name(result.dtypes[name])
    return UNIT[real] * size + SMALLEST[real] if UNIT[real] > judge.base else 0 * size


def longer(judge, l, k, name="out"):
    """Return the doubt of k more steps: one more level of a tree is one more rounding a term."""
    return judge.tolerance()[name] if np.ceil(np.log2(l + k)) > np.ceil(np.log2(l)) else 0.0


def coarse_state(judge, result, name):
    return unit_roundoff(result.dtypes[name]) > judge.base


def complaint(what, gap):
    """Return what does not hold and by how much, or None if it is within the tolerance."""
    return f"{what}, {gap:.3g} tolerances" if gap > 1 else None
