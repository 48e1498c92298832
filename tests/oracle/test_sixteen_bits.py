"""A scan of 16-bit activations that computes in float32 inside is right, whatever is drawn."""

import numpy as np
import pytest

from minimamba import oracle

from .mutants import base

pytest.importorskip("ml_dtypes")


def wide(x):
    return None if x is None else np.asarray(x).astype(np.float32)


def scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
    initial_state=None, seq_idx=None,
):  # fmt: skip
    given = map(wide, (u, delta, A, B, C, D, z, delta_bias))
    out, last, cache = base.selective_scan(*given, delta_softplus, wide(initial_state), seq_idx)
    return out.astype(u.dtype), last, (u.dtype, cache)


def scan_backward(dout, dlast_state, cache):
    dtype, cache = cache
    grads = base.selective_scan_backward(wide(dout), dlast_state, cache)
    narrow = {k: v.astype(dtype) for k, v in grads.items() if k in ("u", "delta", "z")}
    narrow |= {k: grads[k].astype(dtype) for k in "BC" if grads[k].ndim > 2}
    return grads | narrow


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.filterwarnings("ignore")
def test_no_alarm(dtype):
    report = oracle.check(
        scan, framework="numpy", backward=scan_backward, dtypes=(dtype,), cases=150, budget=60.0
    )
    assert report.passed and {r.grade for r in report.rows} == {"float32 inside"}, str(report)
    assert {r.output for r in report.rows} >= {"out", "dz", "dB", "ddelta_bias", "dinitial_state"}


@pytest.mark.filterwarnings("ignore")
def test_a_state_kept_in_sixteen_bits_is_an_alarm():
    def coarse(u, delta, A, B, C, initial_state=None):
        out, last, _ = scan(u, delta, A, B, C, initial_state=initial_state)
        return out, last.astype(u.dtype).astype(np.float32)

    report = oracle.check(coarse, framework="numpy", dtypes=("bfloat16",), cases=20, budget=8.0)
    assert report.exit_code == 1 and {f.output for f in report.failures} >= {"last_state"}
