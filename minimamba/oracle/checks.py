"""Checks that need no truth: what must hold between two calls of any right implementation.

Each takes the target, a case, its judge and the result of the plain call, and returns None or one
sentence. Tolerances are those of the judge; two calls may differ by the sum of both of theirs.
"""

from dataclasses import replace

import numpy as np

from . import bound
from .judge import LARGEST, ratios
from .target import DidNotRun

FUTURE = ("u", "delta", "z", "x", "a", "b", "B", "C", "input_ids")


def timed(case):
    """Return the inputs that have an axis of time."""
    return [k for k in case.inputs if "l" in case.axes[k] and k in (*FUTURE, "seq_idx")]


def between(case, start, stop):
    """Return the case cut to the steps [start, stop); its cotangents go."""
    cut = {k: case.inputs[k][:, start:stop] for k in timed(case)}
    return replace(case.with_inputs(**cut), cotangents={})


def _main(case):
    return next(iter(case.contract.outputs))


def _apart(judge, name, one, other, result, doubt=0.0):
    """Return the worst |one - other| over the tolerance of both (and over `doubt`, if larger)."""
    tol = 2 * judge.tolerance()[name] + doubt
    u = bound.unit_roundoff(result.dtypes[name])
    if u > judge.base:
        tol = tol + 2 * u * (np.abs(judge.want[name]).astype(np.float64) + tol)
    return float(np.max(ratios(one, other, tol, result.dtypes[name], 1.0), initial=0.0))


def split(target, case, judge, result, rng):
    """A sequence in parts, each starting from the state of the one before, is the sequence."""
    l, pair = case.sizes().get("l", 0), case.contract.state
    opaque = case.contract.mapping and "state" in target.open
    if l < 2 or not (opaque or (pair and pair[1] in result.outputs and target.takes(pair[0]))):
        return None
    if "seq_idx" in case.inputs or (not opaque and _coarse_state(judge, result, pair[1])):
        return None
    cut = int(rng.integers(1, l))
    ends = [cut, l] if rng.random() < 0.5 else [cut, *range(cut + 1, l + 1)]
    outs, start, state, last = [], 0, None, None
    for end in ends:
        part = between(case, start, end)
        if start:
            part = part if opaque else _with(part, pair[0], last)
        got = target.run(part, gradients=False, state=state if opaque else None)
        outs.append(got.outputs[_main(case)])
        start, state, last = end, got.state, None if opaque else got.outputs[pair[1]]
    name = _main(case)
    gap = _apart(judge, name, np.concatenate(outs, 1), result.outputs[name], result)
    if not opaque and gap <= 1:
        name = pair[1]
        gap = _apart(judge, name, last, result.outputs[name], result)
    how = f"in two parts, cut at {cut}" if len(ends) == 2 else f"{cut} steps, then one by one"
    return f"{name} of the sequence {how} differs, {gap:.3g} tolerances" if gap > 1 else None


def _coarse_state(judge, result, name):
    return bound.unit_roundoff(result.dtypes[name]) > judge.base


def _with(case, name, x):
    spec = case.contract.inputs[name]
    return replace(case, inputs=case.inputs | {name: x}, axes=case.axes | {name: spec.axes})


def zero_delta(target, case, judge, result, rng):
    """Where delta is zero nothing happens: the state comes back bit for bit."""
    if "delta" not in case.inputs or "last_state" not in result.outputs:
        return None
    if not target.takes("initial_state"):
        return None
    kept = {k: case.inputs[k] for k in ("u", "A", "B", "C", "D", "z") if k in case.inputs}
    kept["delta"] = np.zeros_like(case.inputs["delta"])
    sizes = case.sizes()
    start = rng.standard_normal([sizes[k] for k in "bdn"])
    kept["initial_state"] = start * (1 + 0 * case.inputs["A"])
    axes = {k: case.axes.get(k, "bdn") for k in kept}
    still = replace(case, inputs=kept, axes=axes, flags={}, cotangents={}).rounded()
    got = target.run(still, gradients=False).outputs.get("last_state")
    if got is None or np.array_equal(got, still.inputs["initial_state"]):
        return None
    return "delta = 0 changes the state"


def adjoint(target, case, judge, result, rng):
    """<S(u) - S(0), w> = <u, du(w)>: the output is affine in its linear inputs."""
    linear = [k for k in case.contract.linear if k in case.inputs]
    if not linear or any(f"d{k}" not in result.grads for k in linear):
        return None
    zero = case.with_inputs(**{k: np.zeros_like(case.inputs[k]) for k in linear})
    base, quiet = judge.like(zero), target.run(zero, gradients=False)
    left = right = room = 0.0
    for k, w in case.cotangents.items():
        if k in result.outputs:
            left += np.vdot(w, result.outputs[k] - quiet.outputs[k]).real
            room += sum(np.vdot(np.abs(w), _slack(j, k, result)) for j in (judge, base))
    for k in linear:
        right += np.vdot(result.grads[f"d{k}"], case.inputs[k]).real
        room += np.vdot(np.abs(case.inputs[k]), _slack(judge, f"d{k}", result))
    if not np.isfinite(room) or abs(left - right) <= room * (1 + 1e-9) + 1e-300:
        return None
    gap = abs(left - right) / room
    return f"the gradient of {' and '.join(linear)} is not the adjoint, {gap:.3g} tolerances"


def _slack(judge, name, result):
    """Return the tolerance of an array, its return in a coarser dtype and our sums included."""
    size = np.abs(judge.want[name]).astype(np.float64)
    tol, u = judge.tolerance()[name], bound.unit_roundoff(result.dtypes[name])
    return tol + (u if u > judge.base else 0) * (size + tol) + 1e-13 * size


def homogeneity(target, case, judge, result, rng):
    """Doubling the linear inputs, or the cotangents, doubles the results, bit for bit."""
    linear = [k for k in case.contract.linear if k in case.inputs]
    sixteen = case.dtype in ("float16", "bfloat16")
    room = LARGEST[case.dtype] / 64
    if linear and not sixteen:
        twice = case.with_inputs(**{k: 2 * case.inputs[k] for k in linear})
        got = target.run(replace(twice, cotangents={}), gradients=False)
        for k, x in result.outputs.items():
            if _not_double(got.outputs[k], x, case.dtype, room) and _repeats(target, case, result):
                return f"doubling {' and '.join(linear)} does not double {k}"
    if result.grads and case.memory != "expanded" and not sixteen:
        loud = replace(case, cotangents={k: 2 * v for k, v in case.cotangents.items()})
        got = target.run(loud)
        for k, x in result.grads.items():
            if _not_double(got.grads[k], x, case.dtype, room) and _repeats(target, case, result):
                return f"doubling the cotangents does not double {k}"
    return None


def _not_double(got, x, dtype, room):
    near_zero = 2.0**12 * bound.TINY[dtype]
    with np.errstate(all="ignore"):
        same = (got == 2 * x) | (np.abs(got - 2 * x) <= near_zero) | (np.abs(x) > room)
    return not np.all(same | (np.isnan(got) & np.isnan(x)))


def _repeats(target, case, result):
    """Tell whether a second run gives the same bits; atomics legally do not."""
    again = target.run(case)
    both = ((again.outputs, result.outputs), (again.grads, result.grads))
    return all(np.array_equal(a[k], b[k], equal_nan=True) for a, b in both for k in b)


def causality(target, case, judge, result, rng):
    """What comes later does not reach back."""
    l, name = case.sizes().get("l", 0), _main(case)
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
    got = target.run(changed, gradients=False).outputs[name][:, :cut]
    early = replace_judge(judge, name, cut)
    gap = _apart(early, name, got, result.outputs[name][:, :cut], result)
    return f"inputs from step {cut} on change {name} before it" if gap > 1 else None


def replace_judge(judge, name, cut):
    """Return a judge of the first `cut` steps of one output."""

    class Early:
        base = judge.base
        want = {name: judge.want[name][:, :cut]}  # noqa: RUF012

        def tolerance(self):
            return {name: judge.tolerance()[name][:, :cut]}

    return Early()


def containment(target, case, judge, result, rng):
    """A NaN in one channel at one step reaches that channel from that step on, and no other."""
    key = next((k for k in ("u", "x", "b") if k in case.inputs), None)
    if key is None or case.contract.mapping or not case.contract.causal:
        return None
    if case.op.startswith("discretize") or case.inputs[key].size == 0:
        return None
    x, name = case.inputs[key].copy(), _main(case)
    at = tuple(int(rng.integers(s)) for s in x.shape)
    x[at] = np.nan
    poisoned = replace(case.with_inputs(**{key: x}), cotangents={})
    hit = np.isnan(target.run(poisoned, gradients=False).outputs[name])
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
    b, name = case.sizes().get("b", 1), _main(case)
    if b < 2:
        return None
    rows = np.arange(b)[::-1] if rng.random() < 0.5 else np.array([b - 1])
    moved = {k: x[rows] for k, x in case.inputs.items() if case.axes[k][:1] == "b"}
    some = replace(case.with_inputs(**moved), cotangents={})
    got = target.run(some, gradients=False).outputs[name]
    full = np.full(result.outputs[name].shape, np.nan, got.dtype)
    full[:] = result.outputs[name]
    full[rows] = got
    gap = _apart(judge, name, full, result.outputs[name], result)
    return f"{name} of a row depends on the other rows, {gap:.3g} tolerances" if gap > 1 else None


def time_shift(target, case, judge, result, rng):
    """Silence before a sequence changes nothing after it."""
    if case.op != "selective_scan" or {"initial_state", "seq_idx"} & set(case.inputs):
        return None
    l, k = case.sizes()["l"], int(rng.integers(1, 5))
    if l == 0:
        return None
    late = {}
    for key in timed(case):
        x = case.inputs[key]
        lead = np.repeat(x[:, :1], k, axis=1)
        late[key] = np.concatenate([np.zeros_like(lead) if key == "u" else lead, x], axis=1)
    shifted = replace(case.with_inputs(**late), cotangents={})
    got = target.run(shifted, gradients=False).outputs["out"][:, k:]
    gap = _apart(
        judge, "out", got, result.outputs["out"], result, _later_additions(judge, case, l, k)
    )
    return (
        f"{k} silent steps before the sequence change it, {gap:.3g} tolerances" if gap > 1 else None
    )


def _later_additions(judge, case, l, k):
    """A longer sequence may pass one more level of a tree: one more rounding of each term."""
    return judge.tolerance()["out"] if np.ceil(np.log2(l + k)) > np.ceil(np.log2(l)) else 0.0


def padding(target, case, judge, result, rng):
    """Steps of delta = 0 after the sequence leave its outputs and its last state alone."""
    if case.op != "selective_scan" or "seq_idx" in case.inputs:
        return None
    l, k, tail = case.sizes()["l"], int(rng.integers(1, 9)), {}
    if l == 0:
        return None
    for key in timed(case):
        x = case.inputs[key]
        end = np.repeat(x[:, -1:], k, axis=1)
        if key == "delta":
            end = (
                np.full_like(end, -1e4)
                if case.flags
                else 0 * end - case.inputs.get("delta_bias", 0)
            )
        tail[key] = np.concatenate([x, end], axis=1)
    got = target.run(replace(case.with_inputs(**tail), cotangents={}), gradients=False)
    doubt = _later_additions(judge, case, l, k)
    gap = _apart(judge, "out", got.outputs["out"][:, :l], result.outputs["out"], result, doubt)
    if gap > 1:
        return f"{k} steps of delta = 0 after the sequence change out, {gap:.3g} tolerances"
    if "last_state" in result.outputs:
        two = judge.tolerance()["last_state"]
        states = got.outputs["last_state"], result.outputs["last_state"]
        gap = _apart(judge, "last_state", *states, result, two)
        return (
            f"{k} steps of delta = 0 change last_state, {gap:.3g} tolerances" if gap > 1 else None
        )
    return None


def duality(target, case, judge, result, rng):
    """du(S; dy) is delta times a forward scan of the reversed cotangent with B and C swapped."""
    if (
        case.op != "selective_scan"
        or "du" not in result.grads
        or case.dtype not in ("float32", "float64")
    ):
        return None
    plain = {k: case.inputs[k] for k in ("u", "delta", "A", "B", "C")}
    if any(np.iscomplexobj(x) for x in plain.values()) or len(case.sizes()) == 0:
        return None
    if set(case.inputs) - set(plain) or case.flags or "last_state" in case.cotangents:
        return None
    delta, dy = case.inputs["delta"], case.cotangents["out"]
    if delta.size == 0 or delta.min() < 1e-3:
        return None
    later = np.concatenate([delta[:, 1:], np.ones_like(delta[:, :1])], axis=1)
    flip = {k: plain[k][:, ::-1] if "l" in case.axes[k] else plain[k] for k in "BC"}
    mirror = {"u": (dy / later)[:, ::-1], "delta": later[:, ::-1], "A": plain["A"]}
    inputs = mirror | {"B": flip["C"], "C": flip["B"]}
    axes = case.axes | {"B": case.axes["C"], "C": case.axes["B"]}
    dual = replace(case, inputs=inputs, axes=axes, cotangents={}).rounded()
    other, got = judge.like(dual), target.run(dual, gradients=False)
    pulled = delta * got.outputs["out"][:, ::-1]
    room = judge.tolerance()["du"] + 2 * delta * other.tolerance()["out"][:, ::-1]
    gap = float(np.max(np.abs(pulled - result.grads["du"]) / room, initial=0.0))
    return (
        f"du is not the reversed scan of its cotangent, {gap:.3g} tolerances" if gap > 1 else None
    )


CHECKS = {
    "split": split,
    "zero delta": zero_delta,
    "adjoint": adjoint,
    "homogeneity": homogeneity,
    "causality": causality,
    "NaN containment": containment,
    "batch": batch,
    "time shift": time_shift,
    "padding": padding,
    "duality": duality,
}


def run_all(target, case, judge, result, rng, names=tuple(CHECKS)):
    """Return {check: sentence} of every check that fails; a call that does not run fails it."""
    failed = {}
    for name in names:
        try:
            with np.errstate(all="ignore"):
                sentence = CHECKS[name](target, case, judge, result, rng)
        except DidNotRun as error:
            sentence = f"the callable {error}"
        if sentence:
            failed[name] = sentence
    return failed
