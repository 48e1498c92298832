"""The relations of every operation: states, linearity, causality, channels and rows."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from minimamba.oracle.bound.judge import LARGEST
from minimamba.oracle.bound.tolerance import TINY
from minimamba.oracle.relations.related import (
    apart,
    between,
    coarse_state,
    complaint,
    main_output,
    slack,
    timed,
    with_input,
)


def split(target, case, judge, result, rng):
    """A sequence in parts, each starting from the state of the one before, is the sequence."""
    l, pair = case.sizes().get("l", 0), case.contract.state
    opaque = case.contract.mapping and case.contract.causal and target.takes("state")
    if l < 2 or not (opaque or (pair and pair[1] in result.outputs and target.takes(pair[0]))):
        return None
    if "seq_idx" in case.inputs or (not opaque and coarse_state(judge, result, pair[1])):
        return None
    cut = int(rng.integers(1, l))
    whole = rng.random() < 0.5 or l - cut > 100  # one by one only where that is soon done
    ends = [cut, l] if whole else [cut, *range(cut + 1, l + 1)]
    how = f"in two parts, cut at {cut}" if len(ends) == 2 else f"{cut} steps, then one by one"
    for name, x in _in_parts(target, case, [0, *ends]).items():
        gap = apart(judge, name, x, result.outputs[name], result)
        if gap > 1:
            return complaint(f"{name} of the sequence {how} differs", gap)
    return None


def _in_parts(target, case, ends):
    """Return the output of the parts together, and the last state if it is one of the outputs."""
    outs, last, pair = [], None, case.contract.state
    for start, end in pairwise(ends):
        part, more = between(case, start, end), {}
        if start and pair:
            part = with_input(part, pair[0], last)
        elif start:
            more = {"state": last}
        got = target.call(part, gradients=False, **more)
        outs.append(got.outputs[main_output(case)])
        last = got.outputs[pair[1]] if pair else got.state
    whole = {main_output(case): np.concatenate(outs, 1)}
    return whole | ({pair[1]: last} if pair else {})


def adjoint(target, case, judge, result, rng):
    """<S(u) - S(0), w> = <u, du(w)>: the output is affine in its linear inputs."""
    linear = [k for k in case.contract.linear if k in case.inputs]
    if not linear or any(f"d{k}" not in result.grads for k in linear):
        return None
    if not all(np.isfinite(x).all() for x in (*result.outputs.values(), *result.grads.values())):
        return None  # beyond the dtype, or wrong: that is said elsewhere
    zero = case.with_inputs(**{k: np.zeros_like(case.inputs[k]) for k in linear})
    base, quiet = judge.like(zero), target.call(zero, gradients=False)
    left = right = room = 0.0
    for k, w in case.cotangents.items():
        if k in result.outputs:
            left += np.vdot(w, result.outputs[k] - quiet.outputs[k]).real
            room += sum(np.vdot(np.abs(w), slack(j, k, result)) for j in (judge, base))
    for k in linear:
        right += np.vdot(result.grads[f"d{k}"], case.inputs[k]).real
        room += np.vdot(np.abs(case.inputs[k]), slack(judge, f"d{k}", result))
    if not np.isfinite(room) or abs(left - right) <= room * (1 + 1e-9) + 1e-300:
        return None
    gap = abs(left - right) / room
    return f"the gradient of {' and '.join(linear)} is not the adjoint, {gap:.3g} tolerances"


def homogeneity(target, case, judge, result, rng):
    """Doubling the linear inputs, or the cotangents, doubles the results, bit for bit."""
    if case.dtype in ("float16", "bfloat16"):
        return None
    linear = [k for k in case.contract.linear if k in case.inputs]

    def not_doubled(got, once):
        """Return the name of an array that is not doubled, though a second run repeats it."""
        off = (k for k, x in once.items() if _not_double(got[k], x, case.dtype))
        return next((k for k in off if _repeats(target, case, result)), None)

    if linear:
        twice = case.with_inputs(**{k: 2 * case.inputs[k] for k in linear})
        got = target.call(replace(twice, cotangents={}), gradients=False)
        if k := not_doubled(got.outputs, result.outputs):
            return f"doubling {' and '.join(linear)} does not double {k}"
    if result.grads and case.memory != "expanded":
        loud = replace(case, cotangents={k: 2 * v for k, v in case.cotangents.items()})
        if k := not_doubled(target.call(loud).grads, result.grads):
            return f"doubling the cotangents does not double {k}"
    return None


def _not_double(got, x, dtype):
    near_zero, room = 2.0**12 * TINY[dtype], LARGEST[dtype] / 64
    with np.errstate(all="ignore"):
        same = (got == 2 * x) | (np.abs(got - 2 * x) <= near_zero) | (np.abs(x) > room)
    return not np.all(same | (np.isnan(got) & np.isnan(x)))


def _repeats(target, case, result):
    """Tell whether a second run gives the same bits; atomics legally do not."""
    again = target.call(case)
    return all(
        np.array_equal(again.arrays()[k], x, equal_nan=True) for k, x in result.arrays().items()
    )


def causality(target, case, judge, result, rng):
    """What comes later does not reach back."""
    l, name = case.sizes().get("l", 0), main_output(case)
    if l < 2 or not case.contract.causal:
        return None
    cut = int(rng.integers(1, l))
    later = {}
    for k in timed(case):
        x = case.inputs[k].copy()
        if k == "input_ids":
            x[:, cut:] = (x[:, cut:] + 1) % case.sizes()["v"]
        elif k not in ("delta", "a", "seq_idx"):
            x[:, cut:] = 3 - 100 * x[:, cut:]
        later[k] = x
    changed = replace(case.with_inputs(**later), cotangents={}).rounded()
    got, want = target.call(changed, gradients=False).outputs[name], result.outputs[name]
    early = np.concatenate([got[:, :cut], want[:, cut:]], axis=1)
    gap = apart(judge, name, early, want, result)
    return f"inputs from step {cut} on change {name} before it" if gap > 1 else None


def containment(target, case, judge, result, rng):
    """A NaN in one channel at one step reaches that channel from that step on, and no other."""
    key = next((k for k in ("u", "x", "b") if k in case.inputs), None)
    if key is None or case.contract.mapping or not case.contract.causal:
        return None
    if case.op.startswith("discretize") or case.inputs[key].size == 0:
        return None
    if np.isnan(result.outputs[main_output(case)]).any():
        return None
    x, name = case.inputs[key].copy(), main_output(case)
    at = tuple(int(rng.integers(s)) for s in x.shape)
    x[at] = np.nan
    poisoned = replace(case.with_inputs(**{key: x}), cotangents={})
    hit = np.isnan(target.call(poisoned, gradients=False).outputs[name])
    hit &= ~np.isnan(result.outputs[name])
    allowed = np.zeros(hit.shape, bool)
    step = "l" in case.axes[key]
    allowed[(at[0], slice(at[1], None), *at[2:]) if step else at] = True
    if (hit & ~allowed).any():
        where = tuple(int(i) for i in np.argwhere(hit & ~allowed)[0])
        return f"a NaN in {key}{list(at)} reaches {name}{list(where)}"
    return None if hit[at] else f"a NaN in {key}{list(at)} does not reach {name} there"


def batch(target, case, judge, result, rng):
    """Rows of the batch do not see each other: reversed, or alone, they give the same."""
    b, name = case.sizes().get("b", 1), main_output(case)
    if b < 2:
        return None
    rows = np.arange(b)[::-1] if rng.random() < 0.5 else np.array([b - 1])
    moved = {k: x[rows] for k, x in case.inputs.items() if case.axes[k][:1] == "b"}
    some = replace(case.with_inputs(**moved), cotangents={})
    got = target.call(some, gradients=False).outputs[name]
    full = np.full(result.outputs[name].shape, np.nan, got.dtype)
    full[:] = result.outputs[name]
    full[rows] = got
    gap = apart(judge, name, full, result.outputs[name], result)
    return complaint(f"{name} of a row depends on the other rows", gap)
