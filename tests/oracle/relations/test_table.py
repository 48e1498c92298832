"""Every relation earns its keep: a mistake, and a case of it, that no other relation sees."""

import types

import numpy as np
import pytest

from minimamba.oracle.bound.judge import accepted
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.check import failures
from minimamba.oracle.relations.table import RELATIONS

from ..mutants import base
from ..mutants.kill import OPTIONS, target_of

RIGHT = base.selective_scan
MISTAKES = {}


def mistake(relation):
    def put(fn):
        MISTAKES[relation] = fn
        return fn

    return put


@mistake("split")
def a_state_is_ignored_by_short_sequences(u, *rest, initial_state=None, **more):
    short = 0 < u.shape[-1] < 3
    return RIGHT(u, *rest, initial_state=None if short else initial_state, **more)


@mistake("zero delta")
def a_decay_of_one_is_never_quite_one(u, delta, A, *rest, **more):
    out, last, cache = RIGHT(u, delta, A, *rest, **more)
    return out, last * np.float32(1 - 2**-23), cache


@mistake("adjoint")
def silence_divides_by_zero(u, *rest, **more):
    out, last, cache = RIGHT(u, *rest, **more)
    return out * (np.abs(u).max(initial=0) / np.abs(u).max(initial=0)), last, cache


@mistake("homogeneity")
def a_result_above_one_loses_its_last_bit(u, *rest, **more):
    out, last, cache = RIGHT(u, *rest, **more)
    short = (out.view(np.uint32) & np.uint32(0xFFFFFFFE)).view(np.float32)
    return np.where(np.abs(out) > 1, short, out), last, cache


@mistake("causality")
def inputs_are_scaled_by_the_loudest(u, *rest, **more):
    grain = np.abs(u).max(-1, keepdims=True).astype(float) * 2.0**-29
    u = np.where(grain > 0, np.round(u / np.where(grain, grain, 1)) * grain, u).astype(np.float32)
    return RIGHT(u, *rest, **more)


@mistake("NaN containment")
def what_is_masked_is_multiplied_by_zero(u, *rest, **more):
    out, last, cache = RIGHT(u, *rest, **more)
    return out + 0 * u.sum(1, keepdims=True), last, cache


@mistake("batch")
def a_single_row_has_no_first_state(u, *rest, initial_state=None, **more):
    return RIGHT(u, *rest, initial_state=None if len(u) == 1 else initial_state, **more)


@mistake("time shift")
def leading_silence_is_cut_off_with_the_step_behind_it(u, delta, A, B, C, **more):
    out, last, cache = RIGHT(u, delta, A, B, C, **more)
    silent = not u[..., :1].any() and u.any()
    return (out * np.float32(1.25) if silent else out), last, cache


@mistake("padding")
def a_masked_tail_resets_the_state(u, delta, *rest, **more):
    out, last, cache = RIGHT(u, delta, *rest, **more)
    step = cache[13]
    return out, (0 * last if step.shape[-1] > 1 and not step[..., -1].any() else last), cache


@mistake("duality")
def loud_inputs_are_clipped(u, *rest, **more):
    return RIGHT(np.clip(u, -100, 100), *rest, **more)


@mistake("extremes")
def steps_are_capped(u, delta, *rest, **more):
    return RIGHT(u, np.minimum(delta, 99), *rest, **more)


def module(relation):
    """Return a module like `base`, its scan made with one mistake."""
    return types.SimpleNamespace(
        **{k: v for k, v in vars(base).items() if k.startswith("selective_scan_")},
        selective_scan=_named(MISTAKES[relation]),
    )


def _named(fn):
    """Give a mistake the arguments of the right scan, which the oracle calls by name."""

    def scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
             initial_state=None, seq_idx=None):  # fmt: skip
        more = {"D": D, "z": z, "delta_bias": delta_bias, "delta_softplus": delta_softplus}
        return fn(u, delta, A, B, C, **more, initial_state=initial_state, seq_idx=seq_idx)

    return scan


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.filterwarnings("ignore")
def test_a_mistake_that_only_this_relation_sees(relation):
    target = target_of(module(relation), "selective_scan")
    can = {*OPTIONS["selective_scan"].split(), "gradients", "state_gradient"}
    can = {"gradients"} if relation == "duality" else can  # which is of the bare scan only
    seen = []
    for i in range(100):
        case = draw("selective_scan", (11, i), "float32", can)
        found, _ = failures(target, case, accepted("float32"))
        seen.append({name for name, _ in found})
        if seen[-1] == {relation}:
            return
    raise AssertionError([s for s in seen if s])
