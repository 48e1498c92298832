"""Where long doubles are doubles, as on Windows and on Apple's ARM, the oracle says the same."""

import numpy as np
import pytest

from minimamba import oracle
from minimamba.oracle.truth import arithmetic
from minimamba.oracle.truth.arithmetic import Multi, Plain, best

from .. import examples
from ..mutants import base
from ..mutants.kill import RIGHT, lm_weights, weights


@pytest.fixture(autouse=True)
def no_long_doubles(monkeypatch):
    monkeypatch.setattr(arithmetic, "LONG", False)


def judged(fn, op="selective_scan", dtypes=("float64",), **more):
    more = {"cases": 4, "budget": 20.0, "framework": "numpy"} | more
    return oracle.check(fn, op=op, dtypes=dtypes, **more)


def test_doubles_are_judged_in_mpmath_and_floats_in_doubles():
    assert isinstance(best("float64"), Multi)
    assert best("float32").dtype == best("bfloat16").dtype == np.float64


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_scan_is_right_and_a_wrong_one_wrong(dtype):
    back = base.selective_scan_backward
    right = judged(base.selective_scan, backward=back, dtypes=(dtype,))
    assert right.passed and 0.01 < max(r.worst for r in right.rows) <= 1, str(right)
    assert "complex" not in right.skipped
    wrong = judged(examples.wrong_group_order, dtypes=(dtype,), cases=12, capabilities={"groups"})
    assert wrong.exit_code == 1 and any("expected:" in f.code for f in wrong.failures)


@pytest.mark.parametrize("op, given", [("mamba_block", weights), ("mamba_lm", lm_weights)])
def test_blocks_and_models_too(op, given):
    back = getattr(RIGHT, f"{op}_backward")
    report = judged(getattr(RIGHT, op), op, weights=given(), backward=back, cases=2)
    assert report.passed, str(report)


def test_single_precision_given_out_as_double_is_found():
    def in_single(u, delta, A, B, C):
        out, last = examples.good(*(x.astype(np.float32) for x in (u, delta, A, B, C)))
        return out.astype(np.float64), last.astype(np.float64)

    report = judged(in_single, capabilities=set(), budget=2.0)
    assert {r.grade for r in report.rows} == {"float32 inside"} and not report.passed


@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="there is nothing to compare with")
@pytest.mark.parametrize(
    "op", ["selective_scan", "recurrence", "spectral_filter", "discretize_zoh"]
)
def test_cases_on_disk_hold_the_same_numbers(op, tmp_path, monkeypatch):
    short = oracle.write_case(tmp_path / "short", op=op, dtype="float64")
    monkeypatch.setattr(arithmetic, "LONG", True)
    long = oracle.write_case(tmp_path / "long", op=op, dtype="float64")
    assert set(short) == set(long)
    for name in (k for k in long if f"tolerance.{k}" in long):
        gap = np.abs(short[name] - long[name])  # either was rounded once
        assert np.all(gap <= long[f"tolerance.{name}"] / 1000 + 2.0**-52 * np.abs(long[name])), name


def test_the_oracles_own_scan_is_rounded_once(monkeypatch):
    rng = np.random.default_rng(0)
    u, delta = rng.standard_normal((1, 2, 4)), rng.random((1, 2, 4))
    A = -rng.random((2, 3)) + 1j * rng.random((2, 3))
    B, C = rng.standard_normal((2, 1, 3, 8))
    out, last = oracle.selective_scan(u, delta, A, B, C)
    assert out.dtype == np.float64 and last.dtype == np.complex128
    monkeypatch.setattr(arithmetic, "best", lambda *_: Plain(np.float64))
    assert np.allclose(out, oracle.selective_scan(u, delta, A, B, C)[0], rtol=1e-14)
