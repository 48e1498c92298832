"""The relations of the selective scan alone."""

from dataclasses import replace

import numpy as np

from minimamba.oracle.relations.related import apart, complaint, longer, timed


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
    got = target.call(still, gradients=False).outputs.get("last_state")
    if got is None or np.array_equal(got, still.inputs["initial_state"]):
        return None
    return "delta = 0 changes the state"


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
    got = target.call(shifted, gradients=False).outputs["out"][:, k:]
    gap = apart(judge, "out", got, result.outputs["out"], result, longer(judge, l, k))
    return complaint(f"{k} silent steps before the sequence change it", gap)


def duality(target, case, judge, result, rng):
    """du(S; dy) is delta times a forward scan of the reversed cotangent with B and C swapped."""
    if case.op != "selective_scan" or "du" not in result.grads:
        return None
    if case.dtype not in ("float32", "float64"):
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
    other, got = judge.like(dual), target.call(dual, gradients=False)
    pulled = delta * got.outputs["out"][:, ::-1]
    room = judge.tolerance()["du"] + 2 * delta * other.tolerance()["out"][:, ::-1]
    gap = float(np.max(np.abs(pulled - result.grads["du"]) / room, initial=0.0))
    return complaint("du is not the reversed scan of its cotangent", gap)


def extremes(target, case, judge, result, rng):
    """Far out on every scale: a softplus and a gate of +-100, a decay of e^-10000, steps of 0."""
    if not case.op.startswith("selective") or rng.random() < 0.7 or case.kind:
        return None
    reach = [-100, 100] if case.flags else [0, 1e4]
    moved = {}
    for key, values in {"delta": reach, "z": [-100, 100]}.items():
        if key in case.inputs:
            x = case.inputs[key]
            there = rng.random(x.shape) < 0.3
            moved[key] = np.where(there, rng.choice(values, x.shape), x)
    far = case.with_inputs(**moved).rounded()
    findings = judge.like(far).findings(target.call(far))
    worst = max(findings, key=lambda f: f.ratio, default=None)
    if worst is None or worst.ratio <= 1:
        return None
    said = "not a number" if worst.ratio == np.inf else f"{worst.ratio:.3g} tolerances off"
    return f"{worst.output} is {said} where delta is {reach[0]:g} or {reach[1]:g}"
