"""The library's own operations, judged like anybody else's."""

import numpy as np
import pytest

from minimamba import oracle
from minimamba.blocks.mamba import mamba, mamba_backward
from minimamba.models.mamba_lm import LMLayerParams, LMParams, MambaLM, lm_backward, lm_logits
from minimamba.models.state_dict import Entries, mamba_from_entries, mamba_to_entries
from minimamba.ops import conv, discretize, spectral
from minimamba.ops.norm import RMSNormParams
from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    hillis_steele,
    recurrence,
    recurrence_backward,
    sequential,
)
from minimamba.ops.selective.naive import (
    selective_scan_naive,
    selective_scan_naive_backward,
    selective_scan_step,
)
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward

from .mutants.kill import lm_weights, weights

BOTH = ("float32", "float64")
SCHEDULES = {
    "sequential": sequential,
    "hillis_steele": hillis_steele,
    "blelloch": blelloch,
    "chunked(1)": chunked(1),
    "chunked(8)": chunked(8),
}
in_every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def judged(fn, op, backward=None, **more):
    more = {"cases": 14, "budget": 60.0, "dtypes": BOTH} | more
    report = oracle.check(fn, op=op, layout="bld", framework="numpy", backward=backward, **more)
    assert report.passed, str(report)
    assert all(r.grade == "exact" for r in report.rows)
    return report


def nothing_before(b):
    return np.zeros((b.shape[0], *b.shape[2:]), b.dtype)


@in_every_schedule
def test_every_schedule_of_the_recurrence(schedule):
    def run(a, b, h0=None):
        return recurrence(a, b, nothing_before(b) if h0 is None else h0, schedule)

    def backward(dh, cache):
        da, db, dh0 = recurrence_backward(dh, cache, schedule)
        return {"a": da, "b": db, "h0": dh0}

    report = judged(run, "recurrence", backward)
    assert not report.skipped  # complex numbers, any trailing axes, a first state, gradients


def test_the_selective_scan():
    judged_scan(selective_scan, selective_scan_backward)


@in_every_schedule
def test_the_definition_of_the_selective_scan_in_every_schedule(schedule):
    def run(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, h0=None):
        given = (u, delta, A, B, C, D, z, delta_bias, delta_softplus, h0)
        return selective_scan_naive(*given, schedule=schedule)

    def backward(dy, dh_last, cache):
        return selective_scan_naive_backward(dy, dh_last, cache, schedule)

    judged_scan(run, backward)


def judged_scan(fn, backward):
    report = judged(fn, "selective_scan", backward)
    assert {r.output for r in report.rows} >= {"out", "last_state", "dA", "dz", "dinitial_state"}


def test_the_step_of_the_selective_scan():
    judged(selective_scan_step, "selective_scan_step", cases=40)


def test_the_causal_convolution_and_its_step():
    def run(x, weight, bias=None, initial_states=None):
        return conv.causal_conv1d(x, conv.ConvParams(weight, bias), initial_states)

    def backward(dy, dstate, cache):
        dx, dp, dstate0 = conv.causal_conv1d_backward(dy, dstate, cache)
        return {"x": dx, "weight": dp.weight, "bias": dp.bias, "initial_states": dstate0}

    def step(x, initial_states, weight, bias=None):
        return conv.causal_conv1d_step(x, conv.ConvParams(weight, bias), initial_states)

    judged(run, "causal_conv1d", backward, cases=40)
    judged(step, "causal_conv1d_step", cases=40)


def test_the_spectral_filter():
    def run(x, re, im):
        return spectral.spectral_filter(x, spectral.FilterParams(re, im))

    def backward(dy, cache):
        dx, dp = spectral.spectral_filter_backward(dy, cache)
        return {"x": dx, "re": dp.re, "im": dp.im}

    judged(run, "spectral_filter", backward, cases=40)


@pytest.mark.parametrize("rule", ["zoh_euler", "zoh", "euler", "bilinear"])
def test_the_discretizations(rule):
    def backward(dA_bar, dB_bar, cache):
        grads = getattr(discretize, f"{rule}_backward")(dA_bar, dB_bar, cache)
        return dict(zip(("delta", "A", "B"), grads, strict=True))

    judged(getattr(discretize, rule), f"discretize_{rule}", backward, cases=40)


def test_a_whole_mamba_block_through_its_checkpoint_names():
    def run(x, p, state=None):
        return mamba(x, mamba_from_entries(Entries(p), "", x.shape[-1]), state)

    def backward(dy, cache):
        dx, dp, _ = mamba_backward(dy, None, cache)
        return {"x": dx} | mamba_to_entries("", dp)

    report = judged(run, "mamba_block", backward, weights=weights(), cases=8)
    assert {r.output for r in report.rows} > {"dx", "dA_log", "ddt_proj.bias", "dconv1d.weight"}


def test_a_whole_language_model_through_its_checkpoint_names():
    def read(p):
        entries, d = Entries(p), p["backbone.norm_f.weight"].shape[0]
        layers = tuple(
            LMLayerParams(
                RMSNormParams(p[f"backbone.layers.{i}.norm.weight"]),
                mamba_from_entries(entries, f"backbone.layers.{i}.mixer.", d),
            )
            for i in range(2)
        )
        norm = RMSNormParams(p["backbone.norm_f.weight"])
        return LMParams(p["backbone.embeddings.weight"], layers, norm, None)

    def run(input_ids, p, state=None):
        return lm_logits(input_ids, MambaLM(read(p), 1e-5), state)

    def backward(dlogits, cache):
        g = lm_backward(dlogits, cache)
        out = {
            "backbone.embeddings.weight": g.embeddings,
            "backbone.norm_f.weight": g.norm_f.weight,
        }
        for i, layer in enumerate(g.layers):
            out[f"backbone.layers.{i}.norm.weight"] = layer.norm.weight
            out |= mamba_to_entries(f"backbone.layers.{i}.mixer.", layer.mixer)
        return out

    report = judged(run, "mamba_lm", backward, weights=lm_weights(), cases=6, budget=30.0)
    assert len(report.rows) == 2 * (1 + len(lm_weights()))
