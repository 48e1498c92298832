"""The printed case is code: pasted, it runs, and gives what the report says came back."""

import textwrap
from dataclasses import replace

import numpy as np
import pytest

from minimamba import oracle
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.target.call import Target
from minimamba.oracle.target.frameworks import MEMORY
from minimamba.oracle.target.paste import code, literal

from .. import examples
from ..mutants import base
from ..mutants.kill import target_of


def doubles_its_answer(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
    out, last = examples.good(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    return 2 * out, last


def channel_last(u, delta, A, B, C):
    turned = [np.moveaxis(x, 1, -1) if x.ndim > 2 else x for x in (u, delta, B, C)]
    out, last = doubles_its_answer(*turned[:2], A, *turned[2:])
    return np.moveaxis(out, -1, 1), last


def hands_back(u, delta, A, B, C, z=None):
    return u


def takes_rows_for_neighbours(u, delta, A, B, C):
    """Assumes that a row of the batch starts where the one before ends."""
    rows = (u.strides[1] * u.shape[1], *u.strides[1:])
    if u[:1].flags.c_contiguous and u.shape[1] > 1:
        u = np.lib.stride_tricks.as_strided(u, u.shape, rows)
    return examples.good(u, delta, A, B, C)


def off_by_one_step(a, b, h0=None):
    h = np.zeros_like(b)
    for t in range(1, b.shape[1]):
        h[:, t] = a[:, t] * h[:, t - 1] + b[:, t - 1]
    return h


def keeps_the_oldest_input(x, initial_states, weight):
    return base.causal_conv1d_step(x, initial_states, weight)[0], initial_states


def forgets_conj(a, b):
    h = [b[:, 0]]
    for t in range(1, b.shape[1]):
        h.append(a[:, t] * h[-1] + b[:, t])
    return np.stack(h, 1), (a, b)


def forgets_conj_backward(dh, cache):
    g, a = dh.copy(), cache[0]
    for t in reversed(range(dh.shape[1] - 1)):
        g[:, t] += a[:, t + 1] * g[:, t + 1]
    return {"b": g}


WRONG = {
    "scan": (doubles_its_answer, "selective_scan", "bdl"),
    "scan, channel-last": (channel_last, "selective_scan", "bld"),
    "groups": (examples.wrong_group_order, "selective_scan", "bdl"),
    "recurrence": (off_by_one_step, "recurrence", "bld"),
    "convolution step": (keeps_the_oldest_input, "causal_conv1d_step", "bdl"),
}


def judge(fn, **more):
    return oracle.check(fn, framework="numpy", cases=60, budget=20.0, **more)


def pasted(text):
    names = {}
    exec(textwrap.dedent(text), names)
    return names


def said(text, word):
    (line,) = (x for x in text.splitlines() if f", {word}" in x)
    return np.array(eval(line.split(":", 1)[1]))


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pasted_code_gives_what_the_report_says(name, dtype):
    fn, op, layout = WRONG[name]
    report = judge(fn, op=op, layout=layout, dtypes=(dtype,))
    failure = next(f for f in report.failures if f.kind == "reference")
    result = pasted(failure.code)["result"]
    outputs = result if isinstance(result, tuple) else (result,)
    got, want = said(failure.code, "got"), said(failure.code, "expected")
    same = [np.moveaxis(x, -1, 1) if layout == "bdl" and x.ndim > 2 else x for x in outputs]
    assert any(x.shape == got.shape and np.allclose(x, got, atol=1e-8) for x in (*outputs, *same))
    assert not np.array_equal(got, want)


def test_a_mistake_about_strides_is_pasted_with_its_strides():
    report = judge(takes_rows_for_neighbours)
    assert report.exit_code == 1
    failure = report.failures[0]
    names = pasted(failure.code)
    assert not names["u"].flags.c_contiguous and np.isnan(names["u"].base).any()
    assert np.isnan(names["result"][0]).any()  # it read what lies beside


def test_the_call_of_a_backward_is_pasted_too():
    report = judge(forgets_conj, op="recurrence", layout="bld", backward=forgets_conj_backward)
    failure = next(f for f in report.failures if f.output == "db")
    names = pasted(failure.code)
    assert np.allclose(names["grads"]["b"], said(failure.code, "got"), atol=1e-8)


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_arrays_are_made_as_they_were_handed_over(framework, memory):
    pytest.importorskip(framework)
    target = Target(hands_back, "selective_scan", framework=framework)
    case = replace(draw("selective_scan", (0, 3), "float32", {"z"}), memory=memory)
    short = {k: x[:, :2] for k, x in case.inputs.items() if "l" in case.axes[k]}
    case = replace(case.with_inputs(**short), cotangents={})
    names = pasted(code(target, case, "out"))
    for k in case.inputs:
        made, given = np.asarray(names[k]), np.asarray(target._array(case, k))
        assert np.array_equal(made, given) and made.strides == given.strides, k


@pytest.mark.parametrize("given", [("out", "last_state"), ("out",), ("last_state",)])
def test_a_cotangent_that_a_case_has_not_is_none(given):
    case = draw("selective_scan", (0, 3), "float32", {"gradients"})
    case = replace(case, cotangents={k: np.ones(case.expected(k)) for k in given})
    text = code(target_of(base, "selective_scan"), case, "du")
    words = [f"d{k}" if k in given else "None" for k in ("out", "last_state")]
    assert f"selective_scan_backward({', '.join(words)}, result[-1])" in text


def test_a_literal_keeps_every_digit():
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    assert np.array_equal(eval(literal(x.astype(float), "float32")), x)
    z = (x + 1j * x[::-1]).astype(np.complex64)
    assert np.array_equal(eval(literal(z, "float32")), z)
