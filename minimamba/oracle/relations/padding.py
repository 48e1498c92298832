"""The relation of padding: of a scan, steps of delta = 0; of a model, steps under a mask."""

from dataclasses import replace

import numpy as np

from minimamba.oracle.contract.case import quantize
from minimamba.oracle.relations.related import (
    apart,
    between,
    complaint,
    longer,
    main_output,
    timed,
)


def padding(target, case, judge, result, rng):
    """What lies behind the last real step changes nothing."""
    relation = _of_a_model if case.contract.mapping else _of_a_scan
    return relation(target, case, judge, result, rng)


def _of_a_scan(target, case, judge, result, rng):
    """Steps of delta = 0 after the sequence leave its outputs and its last state alone."""
    if case.op != "selective_scan" or "seq_idx" in case.inputs:
        return None
    l, k, tail = case.sizes()["l"], int(rng.integers(1, 9)), {}
    bias = case.inputs.get("delta_bias", np.zeros(1))
    if l == 0 or (not case.flags and np.any(quantize(bias, case.dtype) != bias)):
        return None  # in 16 bits delta cannot always undo a bias of 32
    for key in timed(case):
        x = case.inputs[key]
        end = np.repeat(x[:, -1:], k, axis=1)
        if key == "delta":
            end = np.full_like(end, -1e4) if case.flags else 0 * end - bias
        tail[key] = np.concatenate([x, end], axis=1)
    got = target.call(replace(case.with_inputs(**tail), cotangents={}), gradients=False)
    doubt = longer(judge, l, k)
    gap = apart(judge, "out", got.outputs["out"][:, :l], result.outputs["out"], result, doubt)
    if gap > 1 or "last_state" not in result.outputs:
        return complaint(f"{k} steps of delta = 0 after the sequence change out", gap)
    two = judge.tolerance()["last_state"]
    states = got.outputs["last_state"], result.outputs["last_state"]
    gap = apart(judge, "last_state", *states, result, two)
    return complaint(f"{k} steps of delta = 0 change last_state", gap)


def _of_a_model(target, case, judge, result, rng):
    """What lies behind the last real step changes nothing, nor does what a mask leaves out.

    Without an argument `attention_mask` only the steps before the padding can be compared. With
    one, padding on the left must leave the steps behind it alone as well, and, where there is a
    state, padding on the right must not get into it: the sequence goes on as if it were not there.
    """
    l, k = case.sizes()["l"], int(rng.integers(1, 5))
    if not l or not case.contract.causal:  # a window is read whole, its padding too
        return None
    masked = target.takes("attention_mask")
    for side in ("right", "left") if masked else ("right",):
        long, real = _padded(case, k, side, rng)
        more = {"attention_mask": _mask(target, case, l + k, real)} if masked else {}
        got = target.call(long, gradients=False, **more).outputs[main_output(case)][:, real]
        gap = _apart(judge, case, got, result, k)
        if gap > 1:
            how = "masked steps" if masked else "more steps"
            return complaint(f"{k} {how} on the {side} change the others", gap)
    if masked and target.takes("state") and l > 1:
        return _goes_on(target, case, judge, result, k, int(rng.integers(1, l)), rng)
    return None


def _goes_on(target, case, judge, result, k, cut, rng):
    """The first `cut` steps, masked padding behind them, and then the rest from that state."""
    first, real = _padded(between(case, 0, cut), k, "right", rng)
    mask = _mask(target, case, cut + k, real)
    state = target.call(first, gradients=False, attention_mask=mask).state
    rest = target.call(between(case, cut, case.sizes()["l"]), gradients=False, state=state)
    out = result.outputs[main_output(case)].copy()
    out[:, cut:] = rest.outputs[main_output(case)]
    gap = _apart(judge, case, out, result, k)
    return complaint(f"{k} masked steps after step {cut} get into the state", gap)


def _padded(case, k, side, rng):
    """Return the case with k steps of other content on one side, and where the real ones are."""
    key = next(iter(case.inputs))
    x, l = case.inputs[key], case.sizes()["l"]
    shape = (x.shape[0], k, *x.shape[2:])
    if x.dtype.kind == "f":
        beside = rng.standard_normal(shape)
    else:
        beside = rng.integers(0, case.sizes()["v"], shape)
    parts = [x, beside] if side == "right" else [beside, x]
    long = replace(case.with_inputs(**{key: np.concatenate(parts, 1)}), cotangents={}).rounded()
    return long, slice(0, l) if side == "right" else slice(k, k + l)


def _mask(target, case, length, real):
    mask = np.zeros((case.sizes()["b"], length), np.int64)
    mask[:, real] = 1
    return target.frame.array(mask, case.dtype)


def _apart(judge, case, got, result, k):
    name, l = main_output(case), case.sizes()["l"]
    doubt = longer(judge, l, k, name)
    return apart(judge, name, got, result.outputs[name], result, doubt)
